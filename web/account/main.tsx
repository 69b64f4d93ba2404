import { RouterProvider } from '@tanstack/react-router';
import { mountPage } from '../design/index.ts';
import { router } from './router.tsx';

mountPage(<RouterProvider router={router} />, {
  // The session ended (time, sign-out elsewhere, a disabled user): sign in again and come back to this very page.
  onUnauthenticated: () => {
    const next = window.location.pathname + window.location.search;
    void router.navigate({ to: '/sign-in', search: { next }, replace: true });
  },
});
