import { Button, Text } from '@mantine/core';
import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import {
  apiFetch,
  ErrorState,
  Fact,
  Facts,
  formatPlural,
  LoadingState,
  Notice,
  notifyProblem,
  PageTitle,
  Panel,
  ProblemError,
  RecoveryCodes,
  RelativeTime,
} from '../../design/index.ts';
import { useStepUp } from './StepUp.tsx';

const ownFactorQuery = queryOptions({
  queryKey: ['own-factor'],
  queryFn: ({ signal }) =>
    apiFetch<{ enrolledAt: string | null; recoveryCodesLeft: number }>('/api/second-factor', { signal }),
});

/** So few that a lost telephone and a mistyped code use them up. */
const few = 3;

/** What a member of staff has to sign in with, and new recovery codes. Another app: by a link that is made at the machine (decision 0028). */
export function YourSignIn() {
  const factor = useQuery(ownFactorQuery);
  const queryClient = useQueryClient();
  const { withStepUp } = useStepUp();
  const renew = useMutation({
    mutationFn: () =>
      withStepUp(() => apiFetch<{ recoveryCodes: string[] }>('/api/second-factor/recovery-codes', { method: 'POST' })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ownFactorQuery.queryKey }),
    // The dialog was left: nothing is wrong.
    onError: (error) => {
      if (!(error instanceof ProblemError && error.problem.code === 'FH_STEP_UP_REQUIRED')) notifyProblem(error);
    },
    gcTime: 0,
  });
  if (!factor.data)
    return factor.isError ? (
      <ErrorState error={factor.error} onRetry={() => void factor.refetch()} />
    ) : (
      <LoadingState rows={4} />
    );
  const { enrolledAt, recoveryCodesLeft } = factor.data;
  return (
    <>
      <PageTitle title="Your sign-in" subtitle="A password and a code of your app open the console." />
      <Panel
        title="Recovery codes"
        description="Each lets you in once when your app is not at hand."
        action={
          !renew.data && (
            <Button loading={renew.isPending} onClick={() => renew.mutate()}>
              New recovery codes
            </Button>
          )
        }
      >
        {renew.data ? (
          <RecoveryCodes title="the Freehold console" codes={renew.data.recoveryCodes} onDone={() => renew.reset()} />
        ) : (
          <>
            <Facts>
              <Fact label="Codes left">{formatPlural(recoveryCodesLeft, 'recovery code')}</Fact>
              {enrolledAt && (
                <Fact label="App set up">
                  <RelativeTime value={enrolledAt} />
                </Fact>
              )}
            </Facts>
            {recoveryCodesLeft <= few && (
              <Notice tone="late" title="Few codes are left">
                Make new ones before the last is used: who has neither app nor code needs somebody at the machine.
              </Notice>
            )}
            <Text size="sm" c="dimmed" mt="sm">
              New codes make the ones that you have worthless. You will be asked for your password and a code.
            </Text>
          </>
        )}
      </Panel>
    </>
  );
}
