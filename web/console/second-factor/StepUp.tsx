/** Acts for which being signed in is not enough: the member shows again who they are, and the act goes on. */
import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, type FormEvent, type ReactNode, useContext, useState } from 'react';
import {
  apiFetch,
  ErrorState,
  LoadingState,
  ProblemError,
  ProblemNotice,
  useConfirmationFields,
} from '../../design/index.ts';
import { stepUpQuery } from '../api.ts';

interface StepUp {
  /** Runs the act; where the server asks for it, shows the dialog and runs it again. Rejects with the refusal when the dialog is left. */
  readonly withStepUp: <T>(act: () => Promise<T>) => Promise<T>;
  /** For what a browser does by itself, such as a download. @returns false: the dialog was left */
  readonly ensureStepUp: () => Promise<boolean>;
}

const StepUpContext = createContext<StepUp | undefined>(undefined);

export function useStepUp(): StepUp {
  const stepUp = useContext(StepUpContext);
  if (!stepUp) throw new Error('useStepUp needs a StepUpProvider around it');
  return stepUp;
}

/** `email`: of the member, for password managers. */
export function StepUpProvider({ email, children }: { email: string; children: ReactNode }) {
  const [asking, setAsking] = useState<(isConfirmed: boolean) => void>();
  const queryClient = useQueryClient();
  const ask = () => new Promise<boolean>((resolve) => setAsking(() => resolve));
  const settle = (isConfirmed: boolean) => {
    asking?.(isConfirmed);
    setAsking(undefined);
  };
  const stepUp: StepUp = {
    async withStepUp(act) {
      try {
        return await act();
      } catch (error) {
        if (!isStepUpRequired(error) || !(await ask())) throw error;
        return act();
      }
    },
    async ensureStepUp() {
      const { confirmedUntil } = await queryClient.fetchQuery(stepUpQuery);
      return confirmedUntil !== null || ask();
    },
  };
  return (
    <StepUpContext value={stepUp}>
      {children}
      {asking && <StepUpDialog email={email} onSettled={settle} />}
    </StepUpContext>
  );
}

function StepUpDialog({ email, onSettled }: { email: string; onSettled: (isConfirmed: boolean) => void }) {
  const state = useQuery(stepUpQuery);
  return (
    <Modal opened onClose={() => onSettled(false)} title={<Text fw={600}>Confirm that it is you</Text>} size="md">
      {state.data ? (
        <StepUpForm email={email} asksPassword={state.data.asksPassword} onSettled={onSettled} />
      ) : state.isError ? (
        <ErrorState error={state.error} onRetry={() => void state.refetch()} />
      ) : (
        <LoadingState rows={2} />
      )}
    </Modal>
  );
}

function StepUpForm(props: { email: string; asksPassword: boolean; onSettled: (isConfirmed: boolean) => void }) {
  const { email, asksPassword, onSettled } = props;
  const queryClient = useQueryClient();
  const confirm = useMutation({
    mutationFn: (body: { password?: string; code?: string }) =>
      apiFetch('/api/session/step-up', { method: 'POST', body }),
    onSuccess: () => onSettled(true),
    // The five minutes of the password may have ended meanwhile.
    onError: () => queryClient.invalidateQueries({ queryKey: stepUpQuery.queryKey }),
  });
  const { fields, shown, isReady, isExplained } = useConfirmationFields({
    email,
    error: confirm.error,
    takesFocus: true,
    hasFactor: true,
    asksPassword,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const { password, code } = shown;
    if (isReady) confirm.mutate({ ...(asksPassword && { password }), ...(code !== undefined && { code }) });
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <Text size="sm">
          This cannot be taken back, changes what people see, takes data out of the installation, or shows what signs
          somebody in. Once confirmed, you are not asked again for five minutes.
        </Text>
        {fields}
        {!isExplained && <ProblemNotice error={confirm.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={() => onSettled(false)}>
            Cancel
          </Button>
          <Button type="submit" loading={confirm.isPending} disabled={!isReady}>
            Confirm
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function isStepUpRequired(error: unknown): boolean {
  return error instanceof ProblemError && error.problem.code === 'FH_STEP_UP_REQUIRED';
}
