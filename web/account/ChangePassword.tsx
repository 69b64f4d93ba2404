import { Button, Stack } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, NewPassword, notifyDone, Panel, ProblemError, ProblemNotice } from '../design/index.ts';
import { devicesQuery, type SessionUser } from './api.ts';
import { type Shown, useConfirmation } from './useConfirmation.tsx';

export function ChangePassword({ user }: { user: SessionUser }) {
  const [open, setOpen] = useState(false);
  return (
    <Panel
      title="Password"
      description="A new password signs out all your other devices and revokes your API tokens."
      action={
        !open && (
          <Button variant="default" onClick={() => setOpen(true)}>
            Change password
          </Button>
        )
      }
    >
      {open ? <PasswordForm user={user} onDone={() => setOpen(false)} /> : null}
    </Panel>
  );
}

function PasswordForm({ user, onDone }: { user: SessionUser; onDone: () => void }) {
  const [fresh, setFresh] = useState('');
  const queryClient = useQueryClient();
  const change = useMutation({
    mutationFn: ({ password: currentPassword, ...factor }: Shown) =>
      apiFetch('/-/api/password', { method: 'PUT', body: { currentPassword, newPassword: fresh, ...factor } }),
    // A wrong current password is an answer for this form, not the end of the session.
    meta: { expects401: true },
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: devicesQuery.queryKey });
      notifyDone('Your password is changed. Your other devices are signed out.');
      onDone();
    },
  });
  const confirmation = useConfirmation({
    email: user.email,
    label: 'Current password',
    error: change.error,
    takesFocus: true,
  });
  const problem = newPasswordProblem(change.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (confirmation.isReady && fresh) change.mutate(confirmation.shown);
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        {confirmation.fields}
        <NewPassword
          checkUrl="/-/api/password-check"
          value={fresh}
          onChange={setFresh}
          context={{ email: user.email, name: user.name }}
          error={problem}
        />
        {!confirmation.isExplained && problem === undefined && <ProblemNotice error={change.error} />}
        <div>
          <Button type="submit" loading={change.isPending} disabled={!confirmation.isReady || !fresh} mr="xs">
            Change password
          </Button>
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
        </div>
      </Stack>
    </form>
  );
}

/** A refusal that is about the new password, beside its field. */
function newPasswordProblem(error: unknown): string | undefined {
  if (!(error instanceof ProblemError) || error.problem.code !== 'FH_PASSWORD_REFUSED') return undefined;
  const { title, detail, hint } = error.problem;
  return [detail ?? `${title}.`, hint].filter(Boolean).join(' ');
}
