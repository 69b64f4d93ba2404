import { Anchor, Button, Stack, Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { apiFetch, ProblemError, ProblemNotice, SignInOver } from '../design/index.ts';
import { showPasskey } from './passkey-api.ts';

/** After the right password, for somebody who has passkeys. */
export function PasskeyStep(props: {
  next: string | undefined;
  hasApp: boolean;
  onSignedIn: () => void;
  onCode: () => void;
  help: ReactNode;
}) {
  const { next, hasApp, onSignedIn, onCode, help } = props;
  const complete = useMutation({
    mutationFn: async () => {
      const passkey = await showPasskey('/-/api/session/second-factor/passkey');
      await apiFetch('/-/api/session/second-factor', { method: 'POST', body: { passkey } });
    },
    meta: { expects401: true },
    onSuccess: onSignedIn,
  });
  if (complete.error instanceof ProblemError && complete.error.problem.code === 'FH_CHALLENGE_NOT_FOUND')
    return <SignInOver next={next} />;
  return (
    <Stack gap="md">
      <Title order={1}>Use your passkey</Title>
      <Text>Your password was right. Now show your passkey, with your finger, your face or its PIN.</Text>
      {!complete.isPending && <ProblemNotice error={complete.error} />}
      <Button fullWidth autoFocus loading={complete.isPending || complete.isSuccess} onClick={() => complete.mutate()}>
        Continue
      </Button>
      <Anchor component="button" type="button" size="sm" onClick={onCode} ta="left" underline="always">
        {hasApp ? 'Use a code' : 'Use a recovery code'}
      </Anchor>
      <Text size="sm" c="dimmed">
        {help}
      </Text>
    </Stack>
  );
}
