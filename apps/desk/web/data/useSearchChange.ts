import { useNavigate } from '@tanstack/react-router';
import { useCallback } from 'react';
import type { ItemSearch } from './search.ts';

/**
 * Changes some of what stands after the `?`, keeps the rest; undefined takes a value out.
 * `push` makes a step to which the browser's Back returns.
 */
export function useSearchChange(): (change: Partial<ItemSearch>, how?: 'replace' | 'push') => void {
  const navigate = useNavigate();
  return useCallback(
    (change, how = 'replace') => {
      void navigate({
        to: '.',
        search: (old: Record<string, unknown>) => ({ ...old, ...change }),
        replace: how === 'replace',
        resetScroll: false,
      });
    },
    [navigate],
  );
}
