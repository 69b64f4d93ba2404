import { Button, Checkbox, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { apiFetch, notifyDone, Panel } from '../design/index.ts';
import { factorPolicyQuery, type SessionUser, usersQuery } from './api.ts';
import { StepUpForm } from './StepUpForm.tsx';
import type { SignOnSettings } from './sign-on-api.ts';
import type { Shown } from './useConfirmation.tsx';

/** Whether a password is still good, and whose always is. */
export function SignOnPolicy({ settings, user }: { settings: SignOnSettings; user: SessionUser }) {
  const users = useQuery(usersQuery);
  const enrolled = useQuery(factorPolicyQuery).data?.enrolled ?? [];
  const [isChanging, setChanging] = useState(false);
  const [enforced, setEnforced] = useState(settings.enforced);
  const [breakGlass, setBreakGlass] = useState<readonly string[]>(settings.breakGlass);
  const queryClient = useQueryClient();
  const save = useMutation({
    mutationFn: (shown: Shown) =>
      apiFetch('/-/api/sign-on/policy', { method: 'PUT', body: { enforced, breakGlass, ...shown } }),
    meta: { expects401: true },
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['sign-on'] });
      notifyDone(enforced ? 'Everybody has to sign in over a provider.' : 'Passwords are good as well.');
      setChanging(false);
    },
  });
  const owners = users.data?.filter(({ role, state }) => role === 'owner' && state === 'active') ?? [];
  const marked = owners.filter(({ userId }) => settings.breakGlass.includes(userId));
  return (
    <Panel
      title="Who has to sign in this way"
      description="Owners who are marked get in with password and second factor when the provider is away."
      action={
        user.role === 'owner' && !isChanging ? (
          <Button variant="default" onClick={() => setChanging(true)}>
            Change
          </Button>
        ) : null
      }
    >
      {!isChanging && (
        <Text>
          {settings.enforced ? 'Everybody.' : 'Nobody: passwords are good as well.'}{' '}
          <Text span c="dimmed">
            {marked.length > 0 ? `Not bound: ${marked.map(({ name }) => name).join(', ')}.` : 'No owner is marked.'}
          </Text>
        </Text>
      )}
      {isChanging && (
        <Stack gap="md">
          <Checkbox
            label="Everybody has to sign in over a provider"
            description="Passwords and passkeys let nobody in any more but the owners below. Everybody else who came by one is signed out, except you."
            checked={enforced}
            onChange={(event) => setEnforced(event.currentTarget.checked)}
          />
          <Checkbox.Group
            label="Owners who are not bound"
            value={[...breakGlass]}
            onChange={(values) => setBreakGlass(values)}
          >
            <Stack gap="xs" mt="xs">
              {owners.map(({ userId, name, email }) => (
                <Checkbox
                  key={userId}
                  value={userId}
                  label={`${name} (${email})`}
                  description={
                    enrolled.includes(userId) ? 'Has a second factor.' : 'Has no second factor yet: does not count.'
                  }
                />
              ))}
            </Stack>
          </Checkbox.Group>
          <StepUpForm
            user={user}
            what="The change is written to the security log."
            label="Save"
            act={save}
            onCancel={() => setChanging(false)}
          />
        </Stack>
      )}
    </Panel>
  );
}
