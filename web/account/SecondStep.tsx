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
      {awaited.data?.expiresAt === null && <SignInOver next={next} />}
      {awaited.data?.expiresAt && (
        <SecondStepForm
          url="/-/api/session/second-factor"
          next={next}
          // The app is another page bundle.
          onSignedIn={() => window.location.assign(safeNext(next))}
          help={
            <>
              Neither at hand? An administrator of your account can remove the app from it.{' '}
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
