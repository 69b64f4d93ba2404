import { Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';
import { CenteredShell, SignInForm, safeNext, TextLink, useDocumentTitle } from '../design/index.ts';
import { sessionQuery, useTenantTitle } from './api.ts';
import { SessionEnded } from './SessionNotices.tsx';

export function SignIn() {
  const title = useTenantTitle();
  useDocumentTitle(`Sign in to ${title}`);
  const { next } = useSearch({ strict: false }) as { next?: string };
  // The app is another page bundle, so this is a new page and not a step of the router.
  const navigate = useNavigate();
  const leave = () => window.location.assign(safeNext(next));

  // Somebody who is signed in already (another tab, an old bookmark) goes straight on.
  const isSignedIn = useQuery({ ...sessionQuery, retry: false, meta: { expects401: true } }).isSuccess;
  // biome-ignore lint/correctness/useExhaustiveDependencies: leave once, when the answer says so
  useEffect(() => {
    if (isSignedIn) leave();
  }, [isSignedIn]);

  return (
    <CenteredShell name={title}>
      <Title order={1} mb="lg">
        Sign in
      </Title>
      <SessionEnded />
      <SignInForm
        url="/-/api/session"
        onSignedIn={leave}
        onSecondFactor={() => void navigate({ to: '/sign-in/code', search: next ? { next } : {} })}
        help={
          <>
            <TextLink to="/forgot-password" underline="always">
              Forgot your password?
            </TextLink>{' '}
            No account yet? An administrator of {title} can send you an invitation.
          </>
        }
      />
    </CenteredShell>
  );
}
