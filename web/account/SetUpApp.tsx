import { Button, Group, PasswordInput, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { apiFetch, CodeInput, CopyableLine, ProblemNotice } from '../design/index.ts';
import { type SessionUser, secondFactorQuery } from './api.ts';
import { QrCode } from './QrCode.tsx';
import { RecoveryCodes } from './RecoveryCodes.tsx';
import { codeProblem, passwordProblem } from './refusals.ts';

interface Begun {
  /** Base32. */
  readonly secret: string;
  readonly uri: string;
}

/** Password, then the app, then a first code, then recovery codes. */
export function SetUpApp({
  user,
  onDone,
  cancel,
}: {
  user: SessionUser;
  onDone: () => void;
  /** The way out, before it counts. */
  cancel?: ReactNode;
}) {
  const [begun, setBegun] = useState<Begun>();
  const [codes, setCodes] = useState<readonly string[]>();
  const queryClient = useQueryClient();
  const finish = async () => {
    await queryClient.invalidateQueries({ queryKey: secondFactorQuery.queryKey });
    onDone();
  };
  if (codes) return <RecoveryCodes codes={codes} onDone={() => void finish()} />;
  if (begun) return <FirstCode begun={begun} onConfirmed={setCodes} cancel={cancel} />;
  return <ConfirmPassword user={user} onBegun={setBegun} cancel={cancel} />;
}

function ConfirmPassword({
  user,
  onBegun,
  cancel,
}: {
  user: SessionUser;
  onBegun: (begun: Begun) => void;
  cancel?: ReactNode;
}) {
  const [password, setPassword] = useState('');
  const begin = useMutation({
    mutationFn: () => apiFetch<Begun>('/-/api/second-factor/totp', { method: 'POST', body: { password } }),
    onSuccess: onBegun,
  });
  const wrong = passwordProblem(begin.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (password) begin.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <input type="text" name="username" autoComplete="username" value={user.email} readOnly hidden />
        <PasswordInput
          name="current-password"
          label="Your password"
          description="To be sure that it is you."
          autoComplete="current-password"
          autoFocus
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={wrong}
          aria-invalid={wrong !== undefined}
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
        />
        {wrong === undefined && <ProblemNotice error={begin.error} />}
        <Group gap="xs">
          <Button type="submit" loading={begin.isPending} disabled={!password}>
            Continue
          </Button>
          {cancel}
        </Group>
      </Stack>
    </form>
  );
}

function FirstCode({
  begun,
  onConfirmed,
  cancel,
}: {
  begun: Begun;
  onConfirmed: (codes: readonly string[]) => void;
  cancel?: ReactNode;
}) {
  const [code, setCode] = useState('');
  const confirm = useMutation({
    mutationFn: () =>
      apiFetch<{ recoveryCodes: string[] }>('/-/api/second-factor/totp/confirm', { method: 'POST', body: { code } }),
    onSuccess: ({ recoveryCodes }) => onConfirmed(recoveryCodes),
  });
  const wrong = codeProblem(confirm.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (code.trim()) confirm.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <Text>Scan this with an authenticator app, for example the one of your telephone or password manager.</Text>
        <QrCode text={begun.uri} label="QR code for your authenticator app" />
        <div>
          <Text size="sm" mb={4}>
            Or type this key into the app (time-based, 6 digits):
          </Text>
          <CopyableLine value={begun.secret} what="key" />
        </div>
        <CodeInput value={code} onChange={setCode} error={wrong} autoFocus maw="20rem" />
        {wrong === undefined && <ProblemNotice error={confirm.error} />}
        <Group gap="xs">
          <Button type="submit" loading={confirm.isPending} disabled={!code.trim()}>
            Turn on
          </Button>
          {cancel}
        </Group>
      </Stack>
    </form>
  );
}
