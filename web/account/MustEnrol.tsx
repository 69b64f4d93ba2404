import { Button, Text, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import {
  apiFetch,
  CenteredShell,
  ErrorState,
  LoadingState,
  leaveAccount,
  notifyProblem,
  safeNext,
  useDocumentTitle,
} from '../design/index.ts';
import { sessionQuery, useTenantTitle } from './api.ts';
import { SetUpApp } from './SetUpApp.tsx';

/** For somebody whom the policy asks for a second factor: everything else waits until there is one. */
export function MustEnrol() {
  const title = useTenantTitle();
  useDocumentTitle('Set up a second factor');
  const { next } = useSearch({ strict: false }) as { next?: string };
  const session = useQuery(sessionQuery);
  const [isAsked, setAsked] = useState(false);
  const leave = () => window.location.assign(safeNext(next));
  const signOut = useMutation({
    mutationFn: () => apiFetch('/-/api/session', { method: 'DELETE' }),
    onSuccess: () => leaveAccount('/-/signed-out'),
    onError: notifyProblem,
  });
  if (!session.data)
    return (
      <CenteredShell name={title} size="wide">
        {session.isError ? (
          <ErrorState plain level={1} error={session.error} onRetry={() => void session.refetch()} />
        ) : (
          <LoadingState rows={4} />
        )}
      </CenteredShell>
    );
  const { user } = session.data;
  // Once begun, its recovery codes are shown whatever the session says by then.
  if (!session.data.session.mustEnrol && !isAsked)
    return (
      <CenteredShell name={title} size="wide">
        <Title order={1}>Nothing to set up</Title>
        <Text mt="xs" mb="lg">
          {title} does not ask you for a second factor, or you have one already.
        </Text>
        <Button onClick={leave}>Go on</Button>
      </CenteredShell>
    );
  return (
    <CenteredShell name={title} size="wide">
      <Title order={1}>Set up a second factor</Title>
      <Text mt="xs" mb="lg">
        An owner of {title} asks for a code from an app at every sign-in. It takes a minute, and everything else waits
        until it is done.
      </Text>
      {isAsked ? (
        <SetUpApp user={user} onDone={leave} />
      ) : (
        <>
          <Button mr="xs" onClick={() => setAsked(true)}>
            Set up
          </Button>
          <Button variant="default" loading={signOut.isPending} onClick={() => signOut.mutate()}>
            Sign out
          </Button>
        </>
      )}
    </CenteredShell>
  );
}
