import { useMutation, useQuery } from '@tanstack/react-query';
import { Outlet } from '@tanstack/react-router';
import { AccountMenu, apiFetch, ErrorState, LoadingState, notifyProblem, PageShell } from '../design/index.ts';
import { sessionQuery } from './api.ts';

const nav = [
  { label: 'Tenants', to: '/tenants' },
  { label: 'Operations', to: '/operations' },
  { label: 'Backups', to: '/backups' },
  { label: 'Drills', to: '/drills' },
  { label: 'Health', to: '/health' },
  { label: 'Mail', to: '/mail' },
  { label: 'Audit log', to: '/audit' },
];

export function ConsoleLayout() {
  const session = useQuery(sessionQuery);
  const signOut = useMutation({
    mutationFn: () => apiFetch('/api/session', { method: 'DELETE' }),
    onSuccess: () => window.location.assign('/signed-out'),
    onError: notifyProblem,
  });
  const staff = session.data?.staff;
  return (
    <PageShell
      name="Freehold"
      area="Console"
      home={{ to: '/tenants' }}
      nav={nav}
      end={staff && <AccountMenu name={staff.name} email={staff.email} onSignOut={() => signOut.mutate()} />}
    >
      {staff ? (
        <Outlet />
      ) : session.isError ? (
        <ErrorState error={session.error} onRetry={() => void session.refetch()} />
      ) : (
        <LoadingState />
      )}
    </PageShell>
  );
}
