import { Button, Group, Text, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import {
  CenteredShell,
  ErrorState,
  LoadingState,
  notifyProblem,
  safeNext,
  signOut,
  useDocumentTitle,
} from '../design/index.ts';
import { sessionQuery, useTenantTitle } from './api.ts';
import { AddPasskey } from './Passkeys.tsx';
import { knowsPasskeys } from './passkey-api.ts';
import { SetUpApp } from './SetUpApp.tsx';

/** For somebody whom the policy asks for a second factor: everything else waits until there is one. */
export function MustEnrol() {
  const title = useTenantTitle();
  useDocumentTitle('Set up a second factor');
  const { next } = useSearch({ strict: false }) as { next?: string };
  const session = useQuery(sessionQuery);
  const [chosen, setChosen] = useState<'passkey' | 'app'>();
  const leave = () => window.location.assign(safeNext(next));
  const leaving = useMutation({
    mutationFn: signOut,
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
  if (!session.data.session.mustEnrol && !chosen)
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
        An owner of {title} asks for more than a password at every sign-in: a passkey, or a code from an app. It takes a
        minute, and everything else waits until it is done.
      </Text>
      {chosen === 'passkey' && <AddPasskey user={user} onDone={leave} />}
      {chosen === 'app' && <SetUpApp user={user} onDone={leave} />}
      {!chosen && (
        <Group gap="xs">
          {knowsPasskeys && <Button onClick={() => setChosen('passkey')}>Add a passkey</Button>}
          <Button variant={knowsPasskeys ? 'default' : 'filled'} onClick={() => setChosen('app')}>
            Set up an app
          </Button>
          <Button variant="default" loading={leaving.isPending} onClick={() => leaving.mutate()}>
            Sign out
          </Button>
        </Group>
      )}
    </CenteredShell>
  );
}
