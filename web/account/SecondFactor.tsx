import { Button, Group, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  apiFetch,
  ErrorState,
  formatPlural,
  LoadingState,
  notifyDone,
  Panel,
  RecoveryCodes,
  RelativeTime,
  StateBadge,
} from '../design/index.ts';
import {
  devicesQuery,
  type SecondFactorState,
  type SessionUser,
  secondFactorQuery,
  sessionQuery,
  useTenantTitle,
} from './api.ts';
import { SetUpApp } from './SetUpApp.tsx';
import { StepUpForm } from './StepUpForm.tsx';
import type { Shown } from './useConfirmation.tsx';

type Doing = 'set-up' | 'turn-off' | 'renew';

/** The codes of the person who looks: of an app, and for recovery. Passkeys: Passkeys.tsx. */
export function SecondFactor({ user }: { user: SessionUser }) {
  const factor = useQuery(secondFactorQuery);
  const [doing, setDoing] = useState<Doing>();
  const close = () => setDoing(undefined);
  const isOn = Boolean(factor.data?.enrolledAt);
  return (
    <Panel
      title="Authenticator app and recovery codes"
      description="A code asked for after your password: whoever learns your password cannot sign in with it alone."
      action={
        factor.data && !doing && !isOn ? (
          <Button variant="default" onClick={() => setDoing('set-up')}>
            Set up
          </Button>
        ) : null
      }
    >
      {factor.isPending && <LoadingState rows={1} />}
      {factor.isError && <ErrorState error={factor.error} onRetry={() => void factor.refetch()} />}
      {doing === 'set-up' && <SetUp user={user} onDone={close} />}
      {doing === 'turn-off' && <TurnOff user={user} onDone={close} />}
      {doing === 'renew' && <Renew user={user} onDone={close} />}
      {factor.data && !doing && <Present factor={factor.data} onChoose={setDoing} />}
    </Panel>
  );
}

function Present({ factor, onChoose }: { factor: SecondFactorState; onChoose: (doing: Doing) => void }) {
  const isOn = factor.enrolledAt !== null;
  if (!isOn && factor.passkeys.length === 0)
    return (
      <Group gap="xs">
        <StateBadge tone="quiet">Off</StateBadge>
        <Text c="dimmed">Your password is all that it takes to sign in.</Text>
      </Group>
    );
  return (
    <Group justify="space-between" gap="sm">
      <div>
        <Group gap="xs">
          <StateBadge tone={isOn ? 'ok' : 'quiet'}>{isOn ? 'On' : 'Off'}</StateBadge>
          <Text>
            {factor.enrolledAt ? (
              <>
                App set up <RelativeTime value={factor.enrolledAt} />
              </>
            ) : (
              'No app. After your password, a passkey or a recovery code is asked for.'
            )}
          </Text>
        </Group>
        <Text size="sm" c="dimmed" mt={4}>
          {formatPlural(factor.recoveryCodesLeft, 'recovery code', 'recovery codes')} left
          {factor.recoveryCodesLeft < 4 && '. Make new ones before you need them.'}
        </Text>
      </div>
      <Group gap="xs">
        <Button variant="default" onClick={() => onChoose('renew')}>
          New recovery codes
        </Button>
        {isOn && (
          <Button variant="default" onClick={() => onChoose('turn-off')}>
            Turn off
          </Button>
        )}
      </Group>
    </Group>
  );
}

function SetUp({ user, onDone }: { user: SessionUser; onDone: () => void }) {
  const queryClient = useQueryClient();
  const finish = () => {
    void queryClient.invalidateQueries({ queryKey: devicesQuery.queryKey });
    onDone();
  };
  return (
    <SetUpApp
      user={user}
      onDone={finish}
      cancel={
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
      }
    />
  );
}

function TurnOff({ user, onDone }: { user: SessionUser; onDone: () => void }) {
  const queryClient = useQueryClient();
  const act = useMutation({
    mutationFn: (body: Shown) => apiFetch('/-/api/second-factor/remove', { method: 'POST', body }),
    onSuccess: async () => {
      // By policy there may be nothing left but to set one up: the session says so.
      await queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
      await queryClient.invalidateQueries({ queryKey: secondFactorQuery.queryKey });
      notifyDone('The app is off.');
      onDone();
    },
  });
  return (
    <StepUpForm
      user={user}
      what="Without a passkey, your password alone signs you in from then on, and your recovery codes are worthless. To use another telephone, turn it off and set it up again."
      label="Turn off"
      grave
      act={act}
      onCancel={onDone}
    />
  );
}

function Renew({ user, onDone }: { user: SessionUser; onDone: () => void }) {
  const title = useTenantTitle();
  const queryClient = useQueryClient();
  const act = useMutation({
    mutationFn: (body: Shown) =>
      apiFetch<{ recoveryCodes: string[] }>('/-/api/second-factor/recovery-codes', { method: 'POST', body }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: secondFactorQuery.queryKey }),
  });
  if (act.data) return <RecoveryCodes title={title} codes={act.data.recoveryCodes} onDone={onDone} />;
  return (
    <StepUpForm
      user={user}
      what="Ten new codes. The ones that you have are worthless from then on."
      label="Make new codes"
      act={act}
      onCancel={onDone}
    />
  );
}
