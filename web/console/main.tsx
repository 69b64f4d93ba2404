import { RouterProvider } from '@tanstack/react-router';
import { mountPage } from '../design/index.ts';
import { router } from './router.tsx';

mountPage(<RouterProvider router={router} />, {
  secondFactorPath: '/second-factor',
  onUnauthenticated: () => {
    const next = window.location.pathname + window.location.search;
    void router.navigate({ to: '/sign-in', search: { next }, replace: true });
  },
});
