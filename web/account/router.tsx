import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
  useRouter,
} from '@tanstack/react-router';
import { ErrorState, LoadingState } from '../design/index.ts';
import { readLogFilter } from './log-filter.ts';
import { NotFound } from './NotFound.tsx';

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search): { next?: string; again?: 1 } => ({
    ...(typeof search.next === 'string' && { next: search.next }),
    ...(search.again === 1 && { again: 1 }),
  }),
  component: lazyRouteComponent(() => import('./SignIn.tsx'), 'SignIn'),
});
const secondStep = createRoute({
  getParentRoute: () => root,
  path: '/sign-in/code',
  validateSearch: (search): { next?: string } => (typeof search.next === 'string' ? { next: search.next } : {}),
  component: lazyRouteComponent(() => import('./SecondStep.tsx'), 'SecondStep'),
});
const signOnCallback = createRoute({
  getParentRoute: () => root,
  path: '/sign-on/callback',
  component: lazyRouteComponent(() => import('./SignOnCallback.tsx'), 'SignOnCallback'),
});
const samlCallback = createRoute({
  getParentRoute: () => root,
  path: '/sign-on/saml',
  component: lazyRouteComponent(() => import('./SignOnCallback.tsx'), 'SamlCallback'),
});
const samlLogOut = createRoute({
  getParentRoute: () => root,
  path: '/sign-on/saml/log-out/$id',
  component: lazyRouteComponent(() => import('./SamlLogOut.tsx'), 'SamlLogOut'),
});
const mustEnrol = createRoute({
  getParentRoute: () => root,
  path: '/second-factor',
  validateSearch: (search): { next?: string } => (typeof search.next === 'string' ? { next: search.next } : {}),
  component: lazyRouteComponent(() => import('./MustEnrol.tsx'), 'MustEnrol'),
});
const signedOut = createRoute({
  getParentRoute: () => root,
  path: '/signed-out',
  validateSearch: (search): { organisation?: 'not-asked' } =>
    search.organisation === 'not-asked' ? { organisation: 'not-asked' } : {},
  component: lazyRouteComponent(() => import('./SignedOut.tsx'), 'SignedOut'),
});
const forgotPassword = createRoute({
  getParentRoute: () => root,
  path: '/forgot-password',
  component: lazyRouteComponent(() => import('./ForgotPassword.tsx'), 'ForgotPassword'),
});
const resetPassword = createRoute({
  getParentRoute: () => root,
  path: '/reset-password',
  component: lazyRouteComponent(() => import('./ResetPassword.tsx'), 'ResetPassword'),
});
const invitation = createRoute({
  getParentRoute: () => root,
  path: '/invitations/$token',
  component: lazyRouteComponent(() => import('./Invitation.tsx'), 'Invitation'),
});

const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  component: lazyRouteComponent(() => import('./AccountLayout.tsx'), 'AccountLayout'),
});
const index = createRoute({
  getParentRoute: () => signedIn,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/account', replace: true });
  },
});
const account = createRoute({
  getParentRoute: () => signedIn,
  path: '/account',
  component: lazyRouteComponent(() => import('./Account.tsx'), 'Account'),
});
const tokens = createRoute({
  getParentRoute: () => signedIn,
  path: '/tokens',
  component: lazyRouteComponent(() => import('./ApiTokens.tsx'), 'ApiTokens'),
});
const people = createRoute({
  getParentRoute: () => signedIn,
  path: '/people',
  component: lazyRouteComponent(() => import('./People.tsx'), 'People'),
});
const scim = createRoute({
  getParentRoute: () => signedIn,
  path: '/provisioning',
  component: lazyRouteComponent(() => import('./Scim.tsx'), 'Scim'),
});
const singleSignOn = createRoute({
  getParentRoute: () => signedIn,
  path: '/single-sign-on',
  validateSearch: (search): { tested?: string } => (typeof search.tested === 'string' ? { tested: search.tested } : {}),
  component: lazyRouteComponent(() => import('./SingleSignOn.tsx'), 'SingleSignOn'),
});
const backups = createRoute({
  getParentRoute: () => signedIn,
  path: '/backups',
  component: lazyRouteComponent(() => import('./Backups.tsx'), 'Backups'),
});
const securityLog = createRoute({
  getParentRoute: () => signedIn,
  path: '/security-log',
  validateSearch: readLogFilter,
  component: lazyRouteComponent(() => import('./SecurityLog.tsx'), 'SecurityLog'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    secondStep,
    signOnCallback,
    samlCallback,
    samlLogOut,
    mustEnrol,
    signedOut,
    forgotPassword,
    resetPassword,
    invitation,
    signedIn.addChildren([index, account, tokens, people, singleSignOn, scim, backups, securityLog]),
  ]),
  basepath: '/-',
  defaultPreload: 'intent',
  defaultPendingComponent: LoadingState,
  defaultErrorComponent: PageError,
});

function PageError({ error }: { error: unknown }) {
  const { invalidate } = useRouter();
  return <ErrorState error={error} onRetry={() => void invalidate()} />;
}
