import { Anchor, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { CenteredShell, SignInForm, safeNext, TextLink, useDocumentTitle } from '../design/index.ts';
import { sessionQuery, useTenantTitle } from './api.ts';
import { PasskeySignIn } from './PasskeySignIn.tsx';
import { SessionEnded } from './SessionNotices.tsx';
import { SignOnButtons } from './SignOnButtons.tsx';
import { offeredQuery } from './sign-on-api.ts';

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

  const [asked, setAsked] = useState(false);
  const offered = useQuery(offeredQuery).data;
  // Good for a few owners only; nobody else should type one in vain.
  const hidesPassword = Boolean(offered?.enforced && offered.connections.length > 0 && !asked);

  return (
    <CenteredShell name={title}>
      <Title order={1} mb="lg">
        Sign in
      </Title>
      <SessionEnded />
      <SignOnButtons next={next} />
      {hidesPassword ? (
        <Anchor component="button" type="button" size="sm" underline="always" onClick={() => setAsked(true)}>
          Sign in with a password, as an owner
        </Anchor>
      ) : (
        <SignInForm
          url="/-/api/session"
          onSignedIn={leave}
          onSecondFactor={() => void navigate({ to: '/sign-in/code', search: next ? { next } : {} })}
          passkey={<PasskeySignIn onSignedIn={leave} />}
          help={
            <>
              <TextLink to="/forgot-password" underline="always">
                Forgot your password?
              </TextLink>{' '}
              No account yet? An administrator of {title} can send you an invitation.
            </>
          }
        />
      )}
    </CenteredShell>
  );
}
