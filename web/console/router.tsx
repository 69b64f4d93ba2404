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
import { spans } from './backups/api.ts';
import { type DumpListQuery, dumpStandings } from './dumps/api.ts';
import { type MailState, mailStates } from './mail/api.ts';
import { NotFound } from './NotFound.tsx';
import { type TenantFilter, tenantFilters } from './releases/api.ts';

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search): { next?: string | undefined } => ({ next: text(search.next) }),
  component: lazyRouteComponent(() => import('./SignIn.tsx'), 'SignIn'),
});
const secondStep = createRoute({
  getParentRoute: () => root,
  path: '/sign-in/code',
  validateSearch: (search): { next?: string | undefined } => ({ next: text(search.next) }),
  component: lazyRouteComponent(() => import('./second-factor/SecondStep.tsx'), 'SecondStep'),
});
/** For a member without a second factor, who comes to nothing else. */
const enrol = createRoute({
  getParentRoute: () => root,
  path: '/second-factor',
  validateSearch: (search): { next?: string | undefined } => ({ next: text(search.next) }),
  component: lazyRouteComponent(() => import('./second-factor/Enrol.tsx'), 'Enrol'),
});
const signedOut = createRoute({
  getParentRoute: () => root,
  path: '/signed-out',
  component: lazyRouteComponent(() => import('./SignedOut.tsx'), 'SignedOut'),
});
/** `/setup#setup=TOKEN`: what follows the # never reaches a server's log. */
const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  component: lazyRouteComponent(() => import('./Setup.tsx'), 'Setup'),
});
const setupByPath = createRoute({
  getParentRoute: () => root,
  path: '/setup/$token',
  component: lazyRouteComponent(() => import('./Setup.tsx'), 'Setup'),
});

const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  component: lazyRouteComponent(() => import('./ConsoleLayout.tsx'), 'ConsoleLayout'),
});
const index = createRoute({
  getParentRoute: () => signedIn,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/tenants', replace: true });
  },
});
const tenants = createRoute({
  getParentRoute: () => signedIn,
  path: '/tenants',
  validateSearch: (search) => ({
    q: text(search.q),
    state: text(search.state),
    sort: text(search.sort),
    page: Number(search.page) > 1 ? Math.floor(Number(search.page)) : undefined,
    create: search.create === true ? true : undefined,
    import: search.import === true ? true : undefined,
  }),
  component: lazyRouteComponent(() => import('./tenants/TenantList.tsx'), 'TenantList'),
});
const tenant = createRoute({
  getParentRoute: () => signedIn,
  path: '/tenants/$tenantId',
  component: lazyRouteComponent(() => import('./tenants/TenantPage.tsx'), 'TenantPage'),
});
const restore = createRoute({
  getParentRoute: () => signedIn,
  path: '/tenants/$tenantId/restore',
  validateSearch: (search) => ({
    to: text(search.to),
    place: search.place === 'in-place' ? ('in-place' as const) : undefined,
  }),
  component: lazyRouteComponent(() => import('./restore/RestorePage.tsx'), 'RestorePage'),
});
const appLog = createRoute({
  getParentRoute: () => signedIn,
  path: '/tenants/$tenantId/app',
  component: lazyRouteComponent(() => import('./app-log/AppLogPage.tsx'), 'AppLogPage'),
});
const operations = createRoute({
  getParentRoute: () => signedIn,
  path: '/operations',
  validateSearch: (search) => ({ state: text(search.state) }),
  component: lazyRouteComponent(() => import('./operations/OperationList.tsx'), 'OperationList'),
});
const operation = createRoute({
  getParentRoute: () => signedIn,
  path: '/operations/$operationId',
  component: lazyRouteComponent(() => import('./operations/OperationPage.tsx'), 'OperationPage'),
});
const releases = createRoute({
  getParentRoute: () => signedIn,
  path: '/releases',
  validateSearch: (search) => ({ start: search.start === true ? true : undefined }),
  component: lazyRouteComponent(() => import('./releases/ReleasesPage.tsx'), 'ReleasesPage'),
});
const release = createRoute({
  getParentRoute: () => signedIn,
  path: '/releases/$releaseId',
  validateSearch: (search): { tenants?: TenantFilter | undefined } => ({
    tenants: (Object.keys(tenantFilters) as TenantFilter[]).find((each) => each === search.tenants),
  }),
  component: lazyRouteComponent(() => import('./releases/ReleasePage.tsx'), 'ReleasePage'),
});
const backups = createRoute({
  getParentRoute: () => signedIn,
  path: '/backups',
  validateSearch: (search) => ({ span: spans.find((minutes) => minutes === Number(search.span)) }),
  component: lazyRouteComponent(() => import('./backups/BackupsPage.tsx'), 'BackupsPage'),
});
const dumps = createRoute({
  getParentRoute: () => signedIn,
  path: '/dumps',
  validateSearch: (search): DumpListQuery => ({
    q: text(search.q),
    standing: (['trouble', ...dumpStandings] as const).find((each) => each === search.standing),
    page: Number(search.page) > 1 ? Math.floor(Number(search.page)) : undefined,
  }),
  component: lazyRouteComponent(() => import('./dumps/DumpsPage.tsx'), 'DumpsPage'),
});
const tenantDumps = createRoute({
  getParentRoute: () => signedIn,
  path: '/dumps/$tenantId',
  component: lazyRouteComponent(() => import('./dumps/TenantDumpsPage.tsx'), 'TenantDumpsPage'),
});
const drills = createRoute({
  getParentRoute: () => signedIn,
  path: '/drills',
  component: lazyRouteComponent(() => import('./drills/DrillsPage.tsx'), 'DrillsPage'),
});
const health = createRoute({
  getParentRoute: () => signedIn,
  path: '/health',
  component: lazyRouteComponent(() => import('./health/HealthPage.tsx'), 'HealthPage'),
});
const mail = createRoute({
  getParentRoute: () => signedIn,
  path: '/mail',
  validateSearch: (search): { state?: MailState | undefined } => ({
    state: mailStates.find((each) => each === search.state),
  }),
  component: lazyRouteComponent(() => import('./mail/MailPage.tsx'), 'MailPage'),
});
const audit = createRoute({
  getParentRoute: () => signedIn,
  path: '/audit',
  validateSearch: (search) => ({ event: text(search.event), tenant: text(search.tenant) }),
  component: lazyRouteComponent(() => import('./audit/AuditLog.tsx'), 'AuditLog'),
});
const certificate = createRoute({
  getParentRoute: () => signedIn,
  path: '/certificates/$certificateId',
  component: lazyRouteComponent(() => import('./certificates/CertificatePage.tsx'), 'CertificatePage'),
});
const yourSignIn = createRoute({
  getParentRoute: () => signedIn,
  path: '/your-sign-in',
  component: lazyRouteComponent(() => import('./second-factor/YourSignIn.tsx'), 'YourSignIn'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    secondStep,
    enrol,
    signedOut,
    setup,
    setupByPath,
    signedIn.addChildren([
      index,
      tenants,
      tenant,
      restore,
      appLog,
      operations,
      operation,
      releases,
      release,
      backups,
      dumps,
      tenantDumps,
      drills,
      health,
      mail,
      audit,
      certificate,
      yourSignIn,
    ]),
  ]),
  defaultPreload: 'intent',
  defaultPendingComponent: LoadingState,
  defaultErrorComponent: PageError,
});

function PageError({ error }: { error: unknown }) {
  const { invalidate } = useRouter();
  return <ErrorState error={error} onRetry={() => void invalidate()} />;
}
