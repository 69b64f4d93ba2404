import { Button, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { type FormEvent, useEffect, useState } from 'react';
import {
  apiFetch,
  ButtonLink,
  CenteredShell,
  CopyableLine,
  ErrorState,
  LoadingState,
  NewPassword,
  Notice,
  ProblemError,
  ProblemNotice,
  RelativeTime,
  useDocumentTitle,
} from '../design/index.ts';

interface OpenSetup {
  /** The link was made for this address only; null: for whoever has it. */
  readonly email: string | null;
  readonly expiresAt: string;
}

/** The first staff member of an installation, by the link that the first start printed. */
export function Setup() {
  useDocumentTitle('Set up the console');
  const token = useSetupToken();
  const setup = useQuery({
    queryKey: ['setup', token],
    queryFn: ({ signal }) => apiFetch<OpenSetup>(`/api/setup/${encodeURIComponent(token ?? '')}`, { signal }),
    enabled: token !== undefined,
    meta: { expects401: true },
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <CenteredShell name="Freehold console" size="wide">
      <Title order={1} mb="xs">
        Set up the console
      </Title>
      {!token && (
        <Stack gap="md">
          <Notice tone="late" title="The set-up link is not complete">
            <Text size="sm">
              Open the whole link as it was printed at the start. While there is no staff member, every start prints a
              new one:
            </Text>
          </Notice>
          <CopyableLine value="./freehold up" />
        </Stack>
      )}
      {token && setup.isPending && <LoadingState rows={5} />}
      {setup.isError && (
        <ErrorState
          plain
          error={setup.error}
          onRetry={() => void setup.refetch()}
          action={
            <ButtonLink to="/sign-in" variant="default">
              I have a password already
            </ButtonLink>
          }
        />
      )}
      {token && setup.data && <SetupForm token={token} open={setup.data} />}
    </CenteredShell>
  );
}

function SetupForm({ token, open }: { token: string; open: OpenSetup }) {
  const [name, setName] = useState('');
  const [email, setEmail] = useState(open.email ?? '');
  const [password, setPassword] = useState('');
  const [isChecked, setChecked] = useState(false);
  const setup = useMutation({
    mutationFn: () =>
      apiFetch<{ secondFactor?: object }>(`/api/setup/${encodeURIComponent(token)}`, {
        method: 'POST',
        body: { name: name.trim(), email: email.trim(), password },
      }),
    meta: { expects401: true },
    // Who has a second factor still shows it; who has none sets one up.
    onSuccess: ({ secondFactor }) => window.location.assign(secondFactor ? '/sign-in/code' : '/second-factor'),
  });
  const fields = fieldProblems(setup.error);
  const need = (value: string, message: string) => (isChecked && value.trim() === '' ? message : undefined);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (name.trim() && email.trim() && password) setup.mutate();
  };
  return (
    <>
      <Text c="dimmed" mb="lg">
        You become a staff member of this installation. First your name and a password, then an authenticator app, so
        have your telephone at hand. The link works once and ends <RelativeTime value={open.expiresAt} />.
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
            readOnly={open.email !== null}
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
            Continue
          </Button>
        </Stack>
      </form>
    </>
  );
}

/** Refusals that are about one field. */
function fieldProblems(error: unknown): Readonly<Record<string, string>> {
  if (!(error instanceof ProblemError)) return {};
  const { code, fields, title, detail, hint } = error.problem;
  const text = [detail ?? `${title}.`, hint].filter(Boolean).join(' ');
  if (code === 'FH_PASSWORD_REFUSED') return { password: text };
  if (code === 'FH_STAFF_EXISTS' || code === 'FH_STAFF_EMAIL_FIXED' || code === 'FH_EMAIL_REFUSED')
    return { email: text };
  return fields;
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
