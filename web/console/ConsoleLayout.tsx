import { useMutation, useQuery } from '@tanstack/react-query';
import { Navigate, Outlet } from '@tanstack/react-router';
import { useState } from 'react';
import { AccountMenu, apiFetch, ErrorState, LoadingState, notifyProblem, PageShell } from '../design/index.ts';
import { sessionQuery } from './api.ts';
import { StepUpProvider } from './second-factor/StepUp.tsx';

const nav = [
  { label: 'Tenants', to: '/tenants' },
  { label: 'Operations', to: '/operations' },
  { label: 'Releases', to: '/releases' },
  { label: 'Backups', to: '/backups' },
  { label: 'Dumps', to: '/dumps' },
  { label: 'Drills', to: '/drills' },
  { label: 'Health', to: '/health' },
  { label: 'Mail', to: '/mail' },
  { label: 'Audit log', to: '/audit' },
];

const ownPages = [{ label: 'Your sign-in', to: '/your-sign-in' }];

export function ConsoleLayout() {
  const session = useQuery(sessionQuery);
  const signOut = useMutation({
    mutationFn: () => apiFetch('/api/session', { method: 'DELETE' }),
    onSuccess: () => window.location.assign('/signed-out'),
    onError: notifyProblem,
  });
  // Of the first look: while the router is on its way, its own location is another already.
  const [next] = useState(() => window.location.pathname + window.location.search);
  const staff = session.data?.staff;
  if (session.data?.mustEnrol) return <Navigate to="/second-factor" search={{ next }} replace />;
  return (
    <PageShell
      name="Freehold"
      area="Console"
      home={{ to: '/tenants' }}
      nav={nav}
      end={
        staff && (
          <AccountMenu name={staff.name} email={staff.email} items={ownPages} onSignOut={() => signOut.mutate()} />
        )
      }
    >
      {staff ? (
        <StepUpProvider email={staff.email}>
          <Outlet />
        </StepUpProvider>
      ) : session.isError ? (
        <ErrorState error={session.error} onRetry={() => void session.refetch()} />
      ) : (
        <LoadingState />
      )}
    </PageShell>
  );
}
