import { Button, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { apiFetch, CenteredShell, Notice, ProblemError, ProblemNotice, useDocumentTitle } from '../design/index.ts';
import { sessionQuery, useTenantTitle } from './api.ts';
import { safeNext } from './next.ts';

export function SignIn() {
  const title = useTenantTitle();
  useDocumentTitle(`Sign in to ${title}`);
  const { next } = useSearch({ strict: false }) as { next?: string };
  const form = useRef<HTMLFormElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const leave = () => window.location.assign(safeNext(next));

  // Somebody who is signed in already (another tab, an old bookmark) goes straight on.
  const session = useQuery({ ...sessionQuery, retry: false, meta: { expects401: true } });
  const isSignedIn = session.isSuccess;
  // biome-ignore lint/correctness/useExhaustiveDependencies: leave once, when the answer says so
  useEffect(() => {
    if (isSignedIn) leave();
  }, [isSignedIn]);

  const signIn = useMutation({
    mutationFn: (body: { email: string; password: string }) => apiFetch('/-/api/session', { method: 'POST', body }),
    meta: { expects401: true },
    onSuccess: leave,
    onError: () => password.current?.select(),
  });
  const waitSeconds = useCountdown(signIn.error);
  const [missing, setMissing] = useState<{ email?: string; password?: string }>({});

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    // Read from the form and not from state: password managers fill fields without events.
    const data = new FormData(event.currentTarget);
    const email = String(data.get('email') ?? '').trim();
    const secret = String(data.get('password') ?? '');
    setMissing({
      ...(email ? {} : { email: 'Enter your e-mail address.' }),
      ...(secret ? {} : { password: 'Enter your password.' }),
    });
    if (email && secret) signIn.mutate({ email, password: secret });
    else form.current?.querySelector<HTMLInputElement>(email ? 'input[name=password]' : 'input[name=email]')?.focus();
  };

  return (
    <CenteredShell name={title}>
      <Title order={1} mb="lg">
        Sign in
      </Title>
      <form ref={form} onSubmit={submit} noValidate>
        <Stack gap="md">
          <TextInput
            name="email"
            label="E-mail"
            type="email"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            autoFocus
            error={missing.email}
          />
          <PasswordInput
            ref={password}
            name="password"
            label="Password"
            autoComplete="current-password"
            visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
            error={missing.password}
          />
          {waitSeconds > 0 ? (
            <Notice tone="late" title="Too many attempts" role="alert">
              <Text size="sm">
                Somebody tried too often, perhaps you. Try again in{' '}
                {waitSeconds === 1 ? '1 second' : `${waitSeconds} seconds`}.
              </Text>
            </Notice>
          ) : (
            !signIn.isPending && <ProblemNotice error={isThrottled(signIn.error) ? undefined : signIn.error} />
          )}
          <Button type="submit" fullWidth loading={signIn.isPending || signIn.isSuccess} disabled={waitSeconds > 0}>
            Sign in
          </Button>
          <Text size="sm" c="dimmed">
            No account, or the password is lost? An administrator of {title} can send you an invitation.
          </Text>
        </Stack>
      </form>
    </CenteredShell>
  );
}

function isThrottled(error: unknown): boolean {
  return error instanceof ProblemError && error.problem.retryAfterSeconds !== undefined;
}

/** Seconds until another attempt makes sense; 0: now. */
function useCountdown(error: unknown): number {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const wait = error instanceof ProblemError ? (error.problem.retryAfterSeconds ?? 0) : 0;
    setSeconds(Math.ceil(wait));
    if (wait <= 0) return;
    const endMs = Date.now() + wait * 1000;
    const timer = setInterval(() => setSeconds(Math.max(0, Math.ceil((endMs - Date.now()) / 1000))), 500);
    return () => clearInterval(timer);
  }, [error]);
  return seconds;
}
