import { Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';
import { CenteredShell, SignInForm, safeNext, useDocumentTitle } from '../design/index.ts';
import { sessionQuery } from './api.ts';

export function SignIn() {
  useDocumentTitle('Sign in');
  const { next } = useSearch({ strict: false }) as { next?: string };
  const navigate = useNavigate();
  const leave = () => window.location.assign(safeNext(next));

  const isSignedIn = useQuery({ ...sessionQuery, retry: false, meta: { expects401: true } }).isSuccess;
  // biome-ignore lint/correctness/useExhaustiveDependencies: leave once, when the answer says so
  useEffect(() => {
    if (isSignedIn) leave();
  }, [isSignedIn]);

  return (
    <CenteredShell name="Freehold console">
      <Title order={1} mb="lg">
        Sign in
      </Title>
      <SignInForm
        url="/api/session"
        onSignedIn={leave}
        onSecondFactor={() => void navigate({ to: '/sign-in/code', search: next ? { next } : {} })}
        help="The console is for the operator's staff. Users of a tenant sign in at the tenant's own address."
      />
    </CenteredShell>
  );
}
