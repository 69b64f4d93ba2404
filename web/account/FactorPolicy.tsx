import { Button, Group, Radio, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, ErrorState, LoadingState, notifyDone, Panel, ProblemNotice } from '../design/index.ts';
import { factorPolicyQuery, type FactorPolicy as Policy, type SessionUser, sessionQuery } from './api.ts';
import { type Shown, useConfirmation } from './useConfirmation.tsx';

const words: Record<Policy['requiredOf'], { readonly label: string; readonly what: string }> = {
  off: { label: 'Nobody', what: 'Everybody decides for themselves.' },
  admins: { label: 'Admins and owners', what: 'Those who can invite people, read the log and change this.' },
  everyone: { label: 'Everyone', what: 'All who sign in here.' },
};

/** Who must have a second factor: shown to admins, changed by owners. */
export function FactorPolicy({ user }: { user: SessionUser }) {
  const policy = useQuery(factorPolicyQuery);
  const [isChanging, setChanging] = useState(false);
  return (
    <Panel
      title="Who must have a second factor"
      description="Who must and has none can only set one up, from their very next click; their API tokens wait meanwhile."
      action={
        policy.data && !isChanging && user.role === 'owner' ? (
          <Button variant="default" onClick={() => setChanging(true)}>
            Change
          </Button>
        ) : null
      }
    >
      {policy.isPending && <LoadingState rows={1} />}
      {policy.isError && <ErrorState error={policy.error} onRetry={() => void policy.refetch()} />}
      {policy.data &&
        (isChanging ? (
          <PolicyForm user={user} present={policy.data.requiredOf} onDone={() => setChanging(false)} />
        ) : (
          <Text>
            {words[policy.data.requiredOf].label}.{' '}
            <Text span c="dimmed">
              {words[policy.data.requiredOf].what}
            </Text>
          </Text>
        ))}
    </Panel>
  );
}

function PolicyForm(props: { user: SessionUser; present: Policy['requiredOf']; onDone: () => void }) {
  const { user, present, onDone } = props;
  const [requiredOf, setRequiredOf] = useState(present);
  const queryClient = useQueryClient();
  const save = useMutation({
    mutationFn: (shown: Shown) =>
      apiFetch('/-/api/second-factor-policy', { method: 'PUT', body: { requiredOf, ...shown } }),
    onSuccess: async () => {
      notifyDone(`A second factor is asked of: ${words[requiredOf].label.toLowerCase()}.`);
      onDone();
      // Perhaps of whoever has just chosen it, too: then this leads to setting one up.
      await queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
      await queryClient.invalidateQueries({ queryKey: factorPolicyQuery.queryKey });
    },
  });
  const confirmation = useConfirmation({
    email: user.email,
    why: 'To be sure that it is you. The change is written to the security log.',
    error: save.error,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (confirmation.isReady) save.mutate(confirmation.shown);
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <Radio.Group
          label="Asked of"
          value={requiredOf}
          onChange={(value) => setRequiredOf(value as Policy['requiredOf'])}
        >
          <Stack gap="xs" mt="xs">
            {(['off', 'admins', 'everyone'] as const).map((value) => (
              <Radio key={value} value={value} label={words[value].label} description={words[value].what} />
            ))}
          </Stack>
        </Radio.Group>
        {confirmation.fields}
        {!confirmation.isExplained && <ProblemNotice error={save.error} />}
        <Group gap="xs">
          <Button type="submit" loading={save.isPending} disabled={!confirmation.isReady}>
            Save
          </Button>
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
