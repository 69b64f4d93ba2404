import { Anchor, Button, Stack, Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useRef, useState } from 'react';
import { apiFetch, ProblemError } from './api.ts';
import { CodeInput } from './CodeInput.tsx';
import { ButtonLink } from './links.tsx';
import { ProblemNotice } from './states.tsx';

export interface SecondStepFormProps {
  /** `POST {code}` → 201. */
  readonly url: string;
  readonly next: string | undefined;
  readonly onSignedIn: () => void;
  /** False: recovery codes alone. Default: true. */
  readonly hasApp?: boolean;
  /** The way to another factor. */
  readonly other?: ReactNode;
  /** For who has neither app nor recovery codes. */
  readonly help: ReactNode;
}

/** After the right password: a code of the app, or a recovery code. */
export function SecondStepForm({ url, next, onSignedIn, hasApp = true, other, help }: SecondStepFormProps) {
  const [kind, setKind] = useState<'app' | 'recovery'>(hasApp ? 'app' : 'recovery');
  const [code, setCode] = useState('');
  const [missing, setMissing] = useState<string>();
  const input = useRef<HTMLInputElement>(null);
  const complete = useMutation({
    mutationFn: () => apiFetch(url, { method: 'POST', body: { code } }),
    meta: { expects401: true },
    onSuccess: onSignedIn,
    onError: () => input.current?.select(),
  });
  const refusal = complete.error instanceof ProblemError ? complete.error.problem : undefined;
  if (refusal?.code === 'FH_CHALLENGE_NOT_FOUND') return <SignInOver next={next} />;
  const wrong = refusal?.code === 'FH_CODE_WRONG' ? `${refusal.title}. ${refusal.hint ?? ''}` : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setMissing(code.trim() ? undefined : 'Enter a code.');
    if (code.trim()) complete.mutate();
    else input.current?.focus();
  };
  const switchKind = () => {
    setKind(kind === 'app' ? 'recovery' : 'app');
    setCode('');
    complete.reset();
    input.current?.focus();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <Title order={1}>Enter your code</Title>
        <CodeInput
          key={kind}
          ref={input}
          kind={kind}
          value={code}
          onChange={setCode}
          error={missing ?? (complete.isPending ? undefined : wrong)}
          autoFocus
        />
        {wrong === undefined && !complete.isPending && <ProblemNotice error={complete.error} />}
        <Button type="submit" fullWidth loading={complete.isPending || complete.isSuccess}>
          Sign in
        </Button>
        {hasApp && (
          <Anchor component="button" type="button" size="sm" onClick={switchKind} ta="left" underline="always">
            {kind === 'app' ? 'Use a recovery code' : 'Use a code from your app'}
          </Anchor>
        )}
        {other}
        <Text size="sm" c="dimmed">
          {help}
        </Text>
      </Stack>
    </form>
  );
}

/** The sign-in does not wait any more. */
export function SignInOver({ next }: { next: string | undefined }) {
  return (
    <>
      <Title order={1}>Begin again</Title>
      <Text role="status" mt="xs" mb="lg">
        This sign-in took longer than five minutes, too many codes were wrong, or it is done already.
      </Text>
      <ButtonLink to="/sign-in" search={next ? { next } : {}}>
        Sign in
      </ButtonLink>
    </>
  );
}
