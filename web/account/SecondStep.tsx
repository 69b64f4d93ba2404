import { Anchor, Button, Stack, Text, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { type FormEvent, useRef, useState } from 'react';
import {
  apiFetch,
  ButtonLink,
  CenteredShell,
  CodeInput,
  ErrorState,
  LoadingState,
  ProblemError,
  ProblemNotice,
  safeNext,
  TextLink,
  useDocumentTitle,
} from '../design/index.ts';
import { awaitedSignInQuery, useTenantTitle } from './api.ts';

/** After the right password, for somebody with a second factor. The sign-in waits in this browser for five minutes. */
export function SecondStep() {
  const title = useTenantTitle();
  useDocumentTitle(`Enter your code for ${title}`);
  const { next } = useSearch({ strict: false }) as { next?: string };
  const awaited = useQuery(awaitedSignInQuery);
  return (
    <CenteredShell name={title}>
      {awaited.isPending && <LoadingState rows={3} />}
      {awaited.isError && <ErrorState plain level={1} error={awaited.error} onRetry={() => void awaited.refetch()} />}
      {awaited.data && (awaited.data.expiresAt ? <CodeForm next={next} /> : <Over next={next} />)}
    </CenteredShell>
  );
}

function Over({ next }: { next: string | undefined }) {
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

function CodeForm({ next }: { next: string | undefined }) {
  const [kind, setKind] = useState<'app' | 'recovery'>('app');
  const [code, setCode] = useState('');
  const [missing, setMissing] = useState<string>();
  const input = useRef<HTMLInputElement>(null);
  const complete = useMutation({
    mutationFn: () => apiFetch('/-/api/session/second-factor', { method: 'POST', body: { code } }),
    meta: { expects401: true },
    // The app is another page bundle.
    onSuccess: () => window.location.assign(safeNext(next)),
    onError: () => input.current?.select(),
  });
  const refusal = complete.error instanceof ProblemError ? complete.error.problem : undefined;
  if (refusal?.code === 'FH_CHALLENGE_NOT_FOUND') return <Over next={next} />;
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
        <Anchor component="button" type="button" size="sm" onClick={switchKind} ta="left" underline="always">
          {kind === 'app' ? 'Use a recovery code' : 'Use a code from your app'}
        </Anchor>
        <Text size="sm" c="dimmed">
          Neither at hand? An administrator of your account can remove the app from it.{' '}
          <TextLink to="/sign-in" underline="always">
            Sign in as somebody else
          </TextLink>
        </Text>
      </Stack>
    </form>
  );
}
