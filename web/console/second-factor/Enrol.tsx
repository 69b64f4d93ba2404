import { Button, Text, Title } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import {
  apiFetch,
  CenteredShell,
  ErrorState,
  LoadingState,
  notifyProblem,
  SetUpApp,
  safeNext,
  useDocumentTitle,
} from '../../design/index.ts';
import { sessionQuery, stepUpQuery } from '../api.ts';

/** For a member of staff without a second factor: everything else waits until there is one. */
export function Enrol() {
  useDocumentTitle('Set up your second factor');
  const { next } = useSearch({ strict: false }) as { next?: string };
  const session = useQuery(sessionQuery);
  const stepUp = useQuery({ ...stepUpQuery, refetchOnWindowFocus: false });
  const queryClient = useQueryClient();
  const [isConfirmed, setConfirmed] = useState(false);
  const leave = () => {
    void queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
    window.location.assign(safeNext(next));
  };
  const signOut = useMutation({
    mutationFn: () => apiFetch('/api/session', { method: 'DELETE' }),
    onSuccess: () => window.location.assign('/signed-out'),
    onError: notifyProblem,
  });
  const failed = session.isError ? session : stepUp;
  if (!session.data || !stepUp.data)
    return (
      <CenteredShell name="Freehold console" size="wide">
        {failed.isError ? (
          <ErrorState plain level={1} error={failed.error} onRetry={() => void failed.refetch()} />
        ) : (
          <LoadingState rows={4} />
        )}
      </CenteredShell>
    );
  // Once confirmed, its recovery codes are shown whatever the session says by then.
  if (!session.data.mustEnrol && !isConfirmed)
    return (
      <CenteredShell name="Freehold console" size="wide">
        <Title order={1}>Nothing to set up</Title>
        <Text mt="xs" mb="lg">
          You have a second factor already.
        </Text>
        <Button onClick={leave}>Go to the console</Button>
      </CenteredShell>
    );
  return (
    <CenteredShell name="Freehold console" size="wide">
      <Title order={1}>{isConfirmed ? 'Your recovery codes' : 'Set up your second factor'}</Title>
      {!isConfirmed && (
        <Text mt="xs">
          The console can delete tenants and read their backups, so a password alone does not open it. From now on you
          also type a code that an app on your telephone shows: any authenticator app will do, for example Google
          Authenticator, Aegis, 1Password or Bitwarden. It takes a minute, and works without a network.
        </Text>
      )}
      <div style={{ marginTop: 'var(--mantine-spacing-lg)' }}>
        <SetUpApp
          url="/api/second-factor/totp"
          title="the Freehold console"
          email={session.data.staff.email}
          asksPassword={stepUp.data.asksPassword}
          onConfirmed={() => setConfirmed(true)}
          onDone={leave}
          cancel={
            <Button variant="default" loading={signOut.isPending} onClick={() => signOut.mutate()}>
              Sign out
            </Button>
          }
        />
      </div>
    </CenteredShell>
  );
}
