import { useMutation, useQuery } from '@tanstack/react-query';
import { Navigate, Outlet } from '@tanstack/react-router';
import {
  AccountMenu,
  apiFetch,
  ErrorState,
  IconArrowLeft,
  LoadingState,
  leaveAccount,
  notifyProblem,
  PageShell,
} from '../design/index.ts';
import { sessionQuery, useTenantTitle } from './api.ts';

/** Header of the platform's own pages on a tenant's host. What a member may not do is not offered; the server refuses it anyway. */
export function AccountLayout() {
  const title = useTenantTitle();
  const session = useQuery(sessionQuery);
  const signOut = useMutation({
    mutationFn: () => apiFetch('/-/api/session', { method: 'DELETE' }),
    onSuccess: () => leaveAccount('/-/signed-out'),
    onError: notifyProblem,
  });
  const user = session.data?.user;
  if (session.data?.session.mustEnrol)
    return (
      <Navigate to="/second-factor" search={{ next: window.location.pathname + window.location.search }} replace />
    );
  const nav = [
    { label: 'Back to the app', href: '/', icon: IconArrowLeft },
    { label: 'Account', to: '/account' },
    { label: 'API tokens', to: '/tokens' },
    ...(user && user.role !== 'member'
      ? [
          { label: 'People', to: '/people' },
          { label: 'Single sign-on', to: '/single-sign-on' },
          { label: 'Provisioning', to: '/provisioning' },
          ...(user.role === 'owner' ? [{ label: 'Backups', to: '/backups' }] : []),
          { label: 'Security log', to: '/security-log' },
        ]
      : []),
  ];
  return (
    <PageShell
      name={title}
      home={{ href: '/' }}
      nav={nav}
      end={user && <AccountMenu name={user.name} email={user.email} onSignOut={() => signOut.mutate()} />}
    >
      {user ? (
        <Outlet />
      ) : session.isError ? (
        <ErrorState error={session.error} onRetry={() => void session.refetch()} />
      ) : (
        <LoadingState />
      )}
    </PageShell>
  );
}
