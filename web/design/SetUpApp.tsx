import { Button, Group, PasswordInput, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { apiFetch } from './api.ts';
import { CodeInput } from './CodeInput.tsx';
import { CopyableLine } from './CopyableId.tsx';
import { QrCode } from './QrCode.tsx';
import { RecoveryCodes } from './RecoveryCodes.tsx';
import { codeProblem, passwordProblem } from './refusals.ts';
import { ProblemNotice } from './states.tsx';

export interface BegunApp {
  /** Base32. */
  readonly secret: string;
  readonly uri: string;
}

export interface SetUpAppProps {
  /** `POST {password}` → 201 {secret, uri}; `POST …/confirm {code}` → 201 {recoveryCodes}. */
  readonly url: string;
  /** Of what the codes let in to. */
  readonly title: string;
  readonly email: string;
  /** False: the password was shown here a moment ago. */
  readonly asksPassword: boolean;
  /** The form that begins, where more than a password is asked for. Default: one of our own. */
  readonly begin?: (onBegun: (begun: BegunApp) => void) => ReactNode;
  /** From now on the factor counts; its recovery codes are still to be kept. */
  readonly onConfirmed?: () => void;
  readonly onDone: () => void;
  /** The way out, before it counts. */
  readonly cancel?: ReactNode;
}

/** Password, then the app, then a first code, then recovery codes. */
export function SetUpApp(props: SetUpAppProps) {
  const { url, title, begin, onConfirmed, onDone, cancel } = props;
  const [begun, setBegun] = useState<BegunApp>();
  const [codes, setCodes] = useState<readonly string[]>();
  const keep = (fresh: readonly string[]) => {
    onConfirmed?.();
    // None: there was another factor, and its codes are good as before.
    if (fresh.length > 0) setCodes(fresh);
    else onDone();
  };
  if (codes) return <RecoveryCodes title={title} codes={codes} onDone={onDone} />;
  if (begun) return <FirstCode url={url} begun={begun} onConfirmed={keep} cancel={cancel} />;
  return begin ? begin(setBegun) : <Begin {...props} onBegun={setBegun} />;
}

function Begin({ url, email, asksPassword, cancel, onBegun }: SetUpAppProps & { onBegun: (begun: BegunApp) => void }) {
  const [password, setPassword] = useState('');
  const begin = useMutation({
    mutationFn: () => apiFetch<BegunApp>(url, { method: 'POST', body: asksPassword ? { password } : {} }),
    onSuccess: onBegun,
  });
  const wrong = passwordProblem(begin.error);
  const isReady = !asksPassword || password !== '';
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) begin.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        {asksPassword && (
          <>
            <input type="text" name="username" autoComplete="username" value={email} readOnly hidden />
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
          </>
        )}
        {(wrong === undefined || !asksPassword) && <ProblemNotice error={begin.error} />}
        <Group gap="xs">
          <Button type="submit" loading={begin.isPending} disabled={!isReady}>
            Continue
          </Button>
          {cancel}
        </Group>
      </Stack>
    </form>
  );
}

function FirstCode({
  url,
  begun,
  onConfirmed,
  cancel,
}: {
  url: string;
  begun: BegunApp;
  onConfirmed: (codes: readonly string[]) => void;
  cancel?: ReactNode;
}) {
  const [code, setCode] = useState('');
  const confirm = useMutation({
    mutationFn: () => apiFetch<{ recoveryCodes: string[] }>(`${url}/confirm`, { method: 'POST', body: { code } }),
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
