import { Button, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { type FormEvent, useEffect, useState } from 'react';
import {
  apiFetch,
  CenteredShell,
  CopyableLine,
  NewPassword,
  Notice,
  ProblemError,
  ProblemNotice,
  useDocumentTitle,
} from '../design/index.ts';

/** The first staff member of an installation, by the link that the first start printed. */
export function Setup() {
  useDocumentTitle('Set up the console');
  const token = useSetupToken();
  return (
    <CenteredShell name="Freehold console" size="wide">
      <Title order={1}>Set up the console</Title>
      {token ? (
        <SetupForm token={token} />
      ) : (
        <Stack gap="md" mt="sm">
          <Notice tone="late" title="The set-up link is not complete">
            <Text size="sm">Open the whole link as it was printed at the first start. To print a new one, type:</Text>
          </Notice>
          <CopyableLine value="./freehold doctor" />
        </Stack>
      )}
    </CenteredShell>
  );
}

function SetupForm({ token }: { token: string }) {
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [isChecked, setChecked] = useState(false);
  const setup = useMutation({
    mutationFn: () =>
      apiFetch(`/api/setup/${encodeURIComponent(token)}`, {
        method: 'POST',
        body: { name: name.trim(), email: email.trim(), password },
      }),
    meta: { expects401: true },
    onSuccess: () => window.location.assign('/tenants'),
  });
  const fields = setup.error instanceof ProblemError ? setup.error.problem.fields : {};
  const need = (value: string, message: string) => (isChecked && value.trim() === '' ? message : undefined);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (name.trim() && email.trim() && password) setup.mutate();
  };
  return (
    <>
      <Text c="dimmed" mt="xs" mb="lg">
        You become the first staff member of this installation. The link works once.
      </Text>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <TextInput
            label="Your name"
            name="name"
            autoComplete="name"
            autoFocus
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={need(name, 'Enter your name.') ?? fields.name}
          />
          <TextInput
            label="E-mail"
            description="You will sign in with this address."
            name="username"
            type="email"
            autoComplete="username"
            autoCapitalize="none"
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
            error={need(email, 'Enter your e-mail address.') ?? fields.email}
          />
          <NewPassword
            label="Choose a password"
            checkUrl="/api/password-check"
            value={password}
            onChange={setPassword}
            context={{ email, name }}
            error={need(password, 'Choose a password.') ?? fields.password}
          />
          {Object.keys(fields).length === 0 && <ProblemNotice error={setup.error} />}
          <Button type="submit" loading={setup.isPending || setup.isSuccess}>
            Set up and sign in
          </Button>
        </Stack>
      </form>
    </>
  );
}

/** From `#setup=TOKEN` or `/setup/TOKEN`; taken out of the address bar at once, so that it stays out of history and screenshots. */
function useSetupToken(): string | undefined {
  const { token: fromPath } = useParams({ strict: false }) as { token?: string };
  const [token] = useState(
    () => fromPath ?? new URLSearchParams(window.location.hash.slice(1)).get('setup') ?? undefined,
  );
  useEffect(() => {
    if (token) window.history.replaceState(window.history.state, '', '/setup');
  }, [token]);
  return token || undefined;
}
