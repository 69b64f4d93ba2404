import { type ReactNode, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { FreeholdProvider, type FreeholdProviderProps } from './FreeholdProvider.tsx';

/** Puts a page bundle into `#root` of its index.html. */
export function mountPage(page: ReactNode, options: Omit<FreeholdProviderProps, 'children'> = {}): void {
  const root = document.getElementById('root');
  if (!root) throw new Error('index.html has no element #root');
  createRoot(root).render(
    <StrictMode>
      <FreeholdProvider {...options}>{page}</FreeholdProvider>
    </StrictMode>,
  );
}
