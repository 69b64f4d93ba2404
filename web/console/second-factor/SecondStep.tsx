import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import {
  CenteredShell,
  ErrorState,
  LoadingState,
  SecondStepForm,
  SignInOver,
  safeNext,
  TextLink,
  useDocumentTitle,
} from '../../design/index.ts';
import { awaitedSignInQuery } from '../api.ts';

/** After the right password. The sign-in waits in this browser for five minutes. */
export function SecondStep() {
  useDocumentTitle('Enter your code');
  const { next } = useSearch({ strict: false }) as { next?: string };
  const awaited = useQuery(awaitedSignInQuery);
  return (
    <CenteredShell name="Freehold console">
      {awaited.isPending && <LoadingState rows={3} />}
      {awaited.isError && <ErrorState plain level={1} error={awaited.error} onRetry={() => void awaited.refetch()} />}
      {awaited.data?.expiresAt === null && <SignInOver next={next} />}
      {awaited.data?.expiresAt && (
        <SecondStepForm
          url="/api/session/second-factor"
          next={next}
          onSignedIn={() => window.location.assign(safeNext(next))}
          help={
            <>
              Neither at hand? Whoever runs this machine lets you in again with{' '}
              <code>./freehold staff reset-second-factor</code>.{' '}
              <TextLink to="/sign-in" underline="always">
                Sign in as somebody else
              </TextLink>
            </>
          }
        />
      )}
    </CenteredShell>
  );
}
