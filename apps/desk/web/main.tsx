/** Desk's page: work items of one tenant. It talks to Desk's API (`../api.ts`) and knows nothing of the server's inside. */
import { RouterProvider } from '@tanstack/react-router';
import { mountPage } from '../../../web/design/index.ts';
import { router } from './router.tsx';
import { goToSignIn } from './shell/session.ts';

mountPage(<RouterProvider router={router} />, { onUnauthenticated: goToSignIn });
