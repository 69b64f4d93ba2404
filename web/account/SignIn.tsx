import { Anchor, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { CenteredShell, LoadingState, SignInForm, safeNext, TextLink, useDocumentTitle } from '../design/index.ts';
import { sessionQuery, useTenantTitle } from './api.ts';
import { PasskeySignIn } from './PasskeySignIn.tsx';
import { SessionEnded } from './SessionNotices.tsx';
import { SignOnButtons } from './SignOnButtons.tsx';
import { goToProviderOf, offeredQuery } from './sign-on-api.ts';

/**
 * E-mail and password; where organisations vouch for their people, the address alone at first, which leads to the organisation or to the password.
 */
export function SignIn() {
  const title = useTenantTitle();
  useDocumentTitle(`Sign in to ${title}`);
  const { next, again } = useSearch({ strict: false }) as { next?: string; again?: 1 };
  // The app is another page bundle, so this is a new page and not a step of the router.
  const navigate = useNavigate();
  const leave = () => window.location.assign(safeNext(next));

  // Somebody who is signed in already (another tab, an old bookmark) goes straight on, unless the app wants to know anew who they are.
  const isSignedIn = useQuery({ ...sessionQuery, retry: false, meta: { expects401: true } }).isSuccess;
  // biome-ignore lint/correctness/useExhaustiveDependencies: leave once, when the answer says so
  useEffect(() => {
    if (isSignedIn && !again) leave();
  }, [isSignedIn]);

  const [wantsPassword, setWantsPassword] = useState(false);
  const { data: offered, isPending } = useQuery(offeredQuery);
  const connections = offered?.connections.length ?? 0;
  const isEnforced = Boolean(offered?.enforced && connections > 0);
  const asksAddressFirst = connections > 0 && !wantsPassword;
  // Nobody has to say which organisation, where there is one and no other way.
  const hidesForm = isEnforced && connections === 1 && !wantsPassword;
  const byPassword = (
    <Anchor
      component="button"
      type="button"
      size="sm"
      ta="left"
      underline="always"
      onClick={() => setWantsPassword(true)}
    >
      {isEnforced ? 'Sign in with a password, as an owner' : 'Sign in with a password instead'}
    </Anchor>
  );

  return (
    <CenteredShell name={title}>
      <Title order={1} mb="lg">
        Sign in
      </Title>
      <SessionEnded />
      {again && <Text mb="md">You are signed in, and are asked to sign in again before you go on.</Text>}
      {isPending ? (
        <LoadingState rows={3} />
      ) : (
        <>
          <SignOnButtons next={next} isOnlyWay={hidesForm} />
          {hidesForm ? (
            byPassword
          ) : (
            <SignInForm
              // Another form: what it asks first has changed.
              key={String(asksAddressFirst)}
              url="/-/api/session"
              {...(asksAddressFirst && { goElsewhere: (email: string) => goToProviderOf(email, next) })}
              onSignedIn={leave}
              onSecondFactor={() => void navigate({ to: '/sign-in/code', search: next ? { next } : {} })}
              instead={byPassword}
              // Starts no session for those who have to come over their organisation.
              passkey={isEnforced && !wantsPassword ? undefined : <PasskeySignIn onSignedIn={leave} />}
              help={
                <>
                  {(!isEnforced || wantsPassword) && (
                    <TextLink to="/forgot-password" underline="always">
                      Forgot your password?
                    </TextLink>
                  )}{' '}
                  No account yet? An administrator of {title} can send you an invitation.
                </>
              }
            />
          )}
        </>
      )}
    </CenteredShell>
  );
}
