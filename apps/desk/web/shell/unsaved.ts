import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';

/** Asks before the page is left while a change is on its way: the browser would drop the request, or those that wait behind it. */
export function useUnsavedGuard(): void {
  const queryClient = useQueryClient();
  useEffect(() => {
    const guard = (event: BeforeUnloadEvent) => {
      if (queryClient.isMutating() > 0) event.preventDefault();
    };
    window.addEventListener('beforeunload', guard);
    return () => window.removeEventListener('beforeunload', guard);
  }, [queryClient]);
}
