import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import {
  apiFetch,
  ErrorState,
  LoadingState,
  nameProblem,
  notifyDone,
  Panel,
  ProblemNotice,
  RecoveryCodes,
  RelativeTime,
  StateBadge,
} from '../design/index.ts';
import {
  devicesQuery,
  type Passkey,
  type SessionUser,
  secondFactorQuery,
  sessionQuery,
  useTenantTitle,
} from './api.ts';
import { knowsPasskeys, makePasskey } from './passkey-api.ts';
import { StepUpForm } from './StepUpForm.tsx';
import { type Shown, useConfirmation } from './useConfirmation.tsx';

/** The passkeys of the person who looks. */
export function Passkeys({ user }: { user: SessionUser }) {
  const factor = useQuery(secondFactorQuery);
  const [doing, setDoing] = useState<'add' | Passkey>();
  const close = () => setDoing(undefined);
  return (
    <Panel
      title="Passkeys"
      description="A finger, a face or a PIN in place of your password and a code."
      action={
        factor.data && !doing && knowsPasskeys ? (
          <Button variant="default" onClick={() => setDoing('add')}>
            Add a passkey
          </Button>
        ) : null
      }
    >
      {factor.isPending && <LoadingState rows={1} />}
      {factor.isError && <ErrorState error={factor.error} onRetry={() => void factor.refetch()} />}
      {doing === 'add' && (
        <AddPasskey
          user={user}
          onDone={close}
          cancel={
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
          }
        />
      )}
      {typeof doing === 'object' && <RemovePasskey user={user} passkey={doing} onDone={close} />}
      {factor.data && !doing && <PasskeyList passkeys={factor.data.passkeys} onRemove={setDoing} />}
    </Panel>
  );
}

function PasskeyList({ passkeys, onRemove }: { passkeys: readonly Passkey[]; onRemove: (passkey: Passkey) => void }) {
  if (passkeys.length === 0)
    return <Text c="dimmed">{knowsPasskeys ? 'You have none yet.' : 'This browser cannot use passkeys.'}</Text>;
  return (
    <Stack component="ul" gap="md" m={0} p={0} aria-label="Your passkeys">
      {passkeys.map((passkey) => (
        <Group key={passkey.passkeyId} component="li" justify="space-between" gap="sm" wrap="nowrap">
          <div style={{ minWidth: 0 }}>
            <Group gap="xs">
              <Text fw={500} style={{ overflowWrap: 'anywhere' }}>
                {passkey.name}
              </Text>
              {passkey.isBackedUp && <StateBadge tone="quiet">Synced</StateBadge>}
              {passkey.host !== window.location.hostname && (
                <StateBadge tone="late">Only for {passkey.host}</StateBadge>
              )}
            </Group>
            <Text size="sm" c="dimmed" mt={4}>
              Made <RelativeTime value={passkey.createdAt} />,{' '}
              {passkey.lastUsedAt ? (
                <>
                  last used <RelativeTime value={passkey.lastUsedAt} />
                </>
              ) : (
                'not used yet'
              )}
            </Text>
          </div>
          <Button variant="default" onClick={() => onRemove(passkey)} aria-label={`Remove ${passkey.name}`}>
            Remove
          </Button>
        </Group>
      ))}
    </Stack>
  );
}

/** Name, then password and second factor, then the browser; then recovery codes, if it is the first factor. */
export function AddPasskey({ user, onDone, cancel }: { user: SessionUser; onDone: () => void; cancel?: ReactNode }) {
  const title = useTenantTitle();
  const queryClient = useQueryClient();
  const [name, setName] = useState('');
  const finish = async () => {
    await queryClient.invalidateQueries({ queryKey: secondFactorQuery.queryKey });
    void queryClient.invalidateQueries({ queryKey: devicesQuery.queryKey });
    onDone();
  };
  const add = useMutation({
    mutationFn: (shown: Shown) => makePasskey(name.trim(), shown),
    onSuccess: (recoveryCodes) => {
      if (recoveryCodes.length > 0) return;
      notifyDone('The passkey was added.');
      void finish();
    },
  });
  const confirmation = useConfirmation({ email: user.email, error: add.error });
  if (add.data && add.data.length > 0)
    return <RecoveryCodes title={title} codes={add.data} onDone={() => void finish()} />;
  const wrongName = nameProblem(add.error);
  const isReady = name.trim() !== '' && confirmation.isReady;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) add.mutate(confirmation.shown);
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <TextInput
          label="Name"
          description="So that you know it again, for example the device that it is on."
          placeholder="Laptop"
          autoComplete="off"
          maxLength={100}
          maw="24rem"
          autoFocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={wrongName}
        />
        {confirmation.fields}
        {wrongName === undefined && !confirmation.isExplained && <ProblemNotice error={add.error} />}
        <Group gap="xs">
          <Button type="submit" loading={add.isPending} disabled={!isReady}>
            Add the passkey
          </Button>
          {cancel}
        </Group>
      </Stack>
    </form>
  );
}

function RemovePasskey({ user, passkey, onDone }: { user: SessionUser; passkey: Passkey; onDone: () => void }) {
  const queryClient = useQueryClient();
  const act = useMutation({
    mutationFn: (body: Shown) => apiFetch(`/-/api/passkeys/${passkey.passkeyId}/remove`, { method: 'POST', body }),
    onSuccess: async () => {
      // By policy there may be nothing left but to set one up: the session says so.
      await queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
      await queryClient.invalidateQueries({ queryKey: secondFactorQuery.queryKey });
      notifyDone(`“${passkey.name}” signs nobody in any more.`);
      onDone();
    },
  });
  return (
    <StepUpForm
      user={user}
      what={`“${passkey.name}” signs you in no more. If it is your last second factor, your recovery codes are worthless, too. Remove it from your device or password manager as well.`}
      label="Remove"
      grave
      act={act}
      onCancel={onDone}
    />
  );
}
