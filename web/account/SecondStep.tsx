import { Anchor } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import {
  CenteredShell,
  ErrorState,
  LoadingState,
  SecondStepForm,
  SignInOver,
  safeNext,
  TextLink,
  useDocumentTitle,
} from '../design/index.ts';
import { awaitedSignInQuery, useTenantTitle } from './api.ts';
import { PasskeyStep } from './PasskeyStep.tsx';
import { knowsPasskeys } from './passkey-api.ts';

/** After the right password, for somebody with a second factor. The sign-in waits in this browser for five minutes. */
export function SecondStep() {
  const title = useTenantTitle();
  useDocumentTitle(`Second step of signing in to ${title}`);
  const { next } = useSearch({ strict: false }) as { next?: string };
  const awaited = useQuery(awaitedSignInQuery);
  const [wantsCode, setWantsCode] = useState(false);
  // The app is another page bundle.
  const leave = () => window.location.assign(safeNext(next));
  const help = (
    <>
      None of it at hand? An administrator of your account can remove your second factors.{' '}
      <TextLink to="/sign-in" underline="always">
        Sign in as somebody else
      </TextLink>
    </>
  );
  const { data } = awaited;
  const mayUsePasskey = knowsPasskeys && data?.passkeys;
  return (
    <CenteredShell name={title}>
      {awaited.isPending && <LoadingState rows={3} />}
      {awaited.isError && <ErrorState plain level={1} error={awaited.error} onRetry={() => void awaited.refetch()} />}
      {data?.expiresAt === null && <SignInOver next={next} />}
      {data?.expiresAt && mayUsePasskey && !wantsCode && (
        <PasskeyStep next={next} hasApp={data.app} onSignedIn={leave} onCode={() => setWantsCode(true)} help={help} />
      )}
      {data?.expiresAt && (!mayUsePasskey || wantsCode) && (
        <SecondStepForm
          url="/-/api/session/second-factor"
          next={next}
          hasApp={data.app}
          onSignedIn={leave}
          other={
            mayUsePasskey && (
              <Anchor
                component="button"
                type="button"
                size="sm"
                ta="left"
                underline="always"
                onClick={() => setWantsCode(false)}
              >
                Use your passkey
              </Anchor>
            )
          }
          help={help}
        />
      )}
    </CenteredShell>
  );
}
