import { Button, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';
import {
  apiFetch,
  ButtonLink,
  CenteredShell,
  ErrorState,
  LoadingState,
  NewPassword,
  ProblemError,
  ProblemNotice,
  RelativeTime,
  useDocumentTitle,
} from '../design/index.ts';
import { useTenantTitle } from './api.ts';

interface OpenReset {
  readonly email: string;
  readonly name: string;
  readonly expiresAt: string;
}

/** `#token=…`: what follows the # is sent to no server by itself, so it reaches no log and no Referer; nor does it stay in the history. */
function useResetToken(): string {
  const [token] = useState(() => new URLSearchParams(window.location.hash.slice(1)).get('token') ?? '');
  useEffect(() => {
    if (token) window.history.replaceState(window.history.state, '', window.location.pathname);
  }, [token]);
  return token;
}

/** Where the link of the mail leads. */
export function ResetPassword() {
  const title = useTenantTitle();
  useDocumentTitle('Choose a new password');
  const token = useResetToken();
  const [isDone, setDone] = useState(false);
  const link = useQuery({
    queryKey: ['password-reset', token],
    queryFn: ({ signal }) =>
      apiFetch<OpenReset>('/-/api/password-resets/check', { method: 'POST', body: { token }, signal }),
    meta: { expects401: true },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
    enabled: !isDone,
  });
  if (isDone)
    return (
      <CenteredShell name={title}>
        <Title order={1}>You have a new password</Title>
        <Text role="status" mt="xs" mb="lg">
          Every device that was signed in as you is signed out. Sign in with the new password.
        </Text>
        <ButtonLink to="/sign-in">Sign in</ButtonLink>
      </CenteredShell>
    );
  return (
    <CenteredShell name={title} size="wide">
      {link.isPending && <LoadingState rows={4} />}
      {link.isError && (
        <ErrorState
          plain
          level={1}
          error={link.error}
          onRetry={() => void link.refetch()}
          action={<ButtonLink to="/forgot-password">Ask for a new link</ButtonLink>}
        />
      )}
      {link.data && <ChooseForm token={token} reset={link.data} onDone={() => setDone(true)} />}
    </CenteredShell>
  );
}

function ChooseForm({ token, reset, onDone }: { token: string; reset: OpenReset; onDone: () => void }) {
  const [password, setPassword] = useState('');
  const [missing, setMissing] = useState<string>();
  const complete = useMutation({
    mutationFn: () => apiFetch('/-/api/password-resets/complete', { method: 'POST', body: { token, password } }),
    meta: { expects401: true },
    onSuccess: onDone,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setMissing(password ? undefined : 'Choose a password.');
    if (password) complete.mutate();
  };
  const refusal = refusalOf(complete.error);
  return (
    <>
      <Title order={1}>Choose a new password</Title>
      <Text c="dimmed" mt="xs" mb="lg">
        The link ends <RelativeTime value={reset.expiresAt} />. Every device that is signed in as you will be signed
        out.
      </Text>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <TextInput label="E-mail" name="username" autoComplete="username" value={reset.email} readOnly />
          <NewPassword
            checkUrl="/-/api/password-check"
            label="New password"
            value={password}
            onChange={setPassword}
            context={{ email: reset.email, name: reset.name }}
            error={missing ?? refusal}
          />
          {!refusal && <ProblemNotice error={complete.error} />}
          <Button type="submit" loading={complete.isPending}>
            Set the new password
          </Button>
        </Stack>
      </form>
    </>
  );
}

/** A refusal of the password itself. */
function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof ProblemError) || error.problem.code !== 'FH_PASSWORD_REFUSED') return undefined;
  const { title, detail, hint } = error.problem;
  return [detail ?? `${title}.`, hint].filter(Boolean).join(' ');
}
