import { Anchor, Box, Button, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type CSSProperties, type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import { apiFetch, ProblemError } from './api.ts';
import { Notice, ProblemNotice } from './states.tsx';

export interface SignInFormProps {
  /** `POST {email, password}` → 201. */
  readonly url: string;
  readonly onSignedIn: () => void;
  /** 202: the password was right, and a second factor is asked for. */
  readonly onSecondFactor?: () => void;
  /** Another way in, below the button. The browser offers it below the field of the e-mail address, too. */
  readonly passkey?: ReactNode;
  /** Asked with the address alone, before a password is: true, and the page is being left. Default: both are asked for at once. */
  readonly goElsewhere?: (email: string) => Promise<boolean>;
  /** Beside `goElsewhere`: how to get around it. */
  readonly instead?: ReactNode;
  /** For those without an account. */
  readonly help: ReactNode;
}

/**
 * E-mail and password, or one after the other. Says how long to wait when attempts were slowed down; keeps what was typed after a refusal. Both fields are in
 * the form all the time, so that password managers find them and can fill both at once: then one click is enough.
 */
export function SignInForm({ url, onSignedIn, onSecondFactor, passkey, goElsewhere, instead, help }: SignInFormProps) {
  const form = useRef<HTMLFormElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const [missing, setMissing] = useState<{ email?: string; password?: string }>({});
  const signIn = useMutation({
    mutationFn: (body: { email: string; password: string }) =>
      apiFetch<{ secondFactor?: object }>(url, { method: 'POST', body }),
    meta: { expects401: true },
    onSuccess: ({ secondFactor }) => (secondFactor ? onSecondFactor?.() : onSignedIn()),
    onError: () => password.current?.select(),
  });
  const waitSeconds = useCountdown(signIn.error);
  const [hasAddress, setHasAddress] = useState(goElsewhere === undefined);
  const find = useMutation({
    mutationFn: (body: { email: string; password: string }) => goElsewhere!(body.email),
    onSuccess: (isLeaving, body) => {
      if (isLeaving) return;
      setHasAddress(true);
      if (body.password) signIn.mutate(body);
    },
  });
  const isBusy = find.isPending || find.data === true || signIn.isPending || signIn.isSuccess;
  // biome-ignore lint/correctness/useExhaustiveDependencies: when the field appears, not when the page does
  useEffect(() => {
    if (goElsewhere && hasAddress) password.current?.focus();
  }, [hasAddress]);
  const changeAddress = () => {
    setHasAddress(false);
    find.reset();
    signIn.reset();
    setMissing({});
    form.current?.querySelector<HTMLInputElement>('input[name=email]')?.select();
  };

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (waitSeconds > 0 || isBusy) return;
    // Read from the form and not from state: password managers fill fields without events.
    const data = new FormData(event.currentTarget);
    const email = String(data.get('email') ?? '').trim();
    const secret = String(data.get('password') ?? '');
    setMissing({
      ...(email ? {} : { email: 'Enter your e-mail address.' }),
      ...(secret || !hasAddress ? {} : { password: 'Enter your password.' }),
    });
    if (email && !hasAddress) find.mutate({ email, password: secret });
    else if (email && secret) signIn.mutate({ email, password: secret });
    else form.current?.querySelector<HTMLInputElement>(email ? 'input[name=password]' : 'input[name=email]')?.focus();
  };

  return (
    <form ref={form} onSubmit={submit} noValidate>
      <Stack gap="md">
        <TextInput
          name="email"
          label="E-mail"
          type="email"
          autoComplete={passkey ? 'username webauthn' : 'username'}
          autoCapitalize="none"
          spellCheck={false}
          autoFocus
          error={missing.email}
          // Read-only, not disabled: password managers keep what belongs to it.
          readOnly={goElsewhere !== undefined && hasAddress}
          {...(goElsewhere &&
            hasAddress && {
              rightSectionWidth: 72,
              rightSection: (
                <Anchor component="button" type="button" size="sm" underline="always" onClick={changeAddress}>
                  Change
                </Anchor>
              ),
            })}
        />
        <Box {...(!hasAddress && { style: outOfSight, 'aria-hidden': true })}>
          <PasswordInput
            ref={password}
            name="password"
            label="Password"
            autoComplete="current-password"
            tabIndex={hasAddress ? 0 : -1}
            visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password', tabIndex: hasAddress ? 0 : -1 }}
            error={missing.password}
            aria-invalid={missing.password !== undefined}
          />
        </Box>
        {waitSeconds > 0 ? (
          <Notice tone="late" title="Too many attempts" role="alert">
            <Text size="sm">
              Wrong passwords were typed too often for this address, perhaps not by you. Try again in{' '}
              {formatWait(waitSeconds)}.
            </Text>
          </Notice>
        ) : (
          !isBusy && <ProblemNotice error={find.error ?? (isThrottled(signIn.error) ? undefined : signIn.error)} />
        )}
        <Button type="submit" fullWidth loading={isBusy} disabled={waitSeconds > 0}>
          {hasAddress ? 'Sign in' : 'Continue'}
        </Button>
        {passkey}
        {!hasAddress && instead}
        <Text size="sm" c="dimmed">
          {help}
        </Text>
      </Stack>
    </form>
  );
}

/** There, and not seen: what is not displayed is not filled. */
const outOfSight: CSSProperties = {
  position: 'absolute',
  width: 1,
  height: 1,
  overflow: 'hidden',
  clipPath: 'inset(50%)',
  whiteSpace: 'nowrap',
};

function isThrottled(error: unknown): boolean {
  return error instanceof ProblemError && error.problem.status === 429 && error.problem.retryAfterSeconds !== undefined;
}

function formatWait(seconds: number): string {
  if (seconds >= 120) return `${Math.ceil(seconds / 60)} minutes`;
  return seconds === 1 ? '1 second' : `${seconds} seconds`;
}

/** Seconds until another attempt makes sense; 0: now. */
function useCountdown(error: unknown): number {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const wait = isThrottled(error) ? ((error as ProblemError).problem.retryAfterSeconds ?? 0) : 0;
    setSeconds(Math.ceil(wait));
    if (wait <= 0) return;
    const endMs = Date.now() + wait * 1000;
    const timer = setInterval(() => setSeconds(Math.max(0, Math.ceil((endMs - Date.now()) / 1000))), 500);
    return () => clearInterval(timer);
  }, [error]);
  return seconds;
}
