import { useMutation, useQuery } from '@tanstack/react-query';
import { Navigate, Outlet } from '@tanstack/react-router';
import {
  AccountMenu,
  ErrorState,
  IconArrowLeft,
  LoadingState,
  notifyProblem,
  PageShell,
  signOut,
} from '../design/index.ts';
import { sessionQuery, useTenantTitle } from './api.ts';

/** Header of the platform's own pages on a tenant's host. What a member may not do is not offered; the server refuses it anyway. */
export function AccountLayout() {
  const title = useTenantTitle();
  const session = useQuery(sessionQuery);
  const leaving = useMutation({ mutationFn: signOut, onError: notifyProblem });
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
      end={user && <AccountMenu name={user.name} email={user.email} onSignOut={() => leaving.mutate()} />}
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
