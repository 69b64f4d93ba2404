import { Button, PasswordInput, Stack } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, NewPassword, notifyDone, Panel, ProblemError, ProblemNotice } from '../design/index.ts';
import { devicesQuery, type SessionUser } from './api.ts';

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
  const [current, setCurrent] = useState('');
  const [fresh, setFresh] = useState('');
  const queryClient = useQueryClient();
  const change = useMutation({
    mutationFn: () =>
      apiFetch('/-/api/password', { method: 'PUT', body: { currentPassword: current, newPassword: fresh } }),
    // A wrong current password is an answer for this form, not the end of the session.
    meta: { expects401: true },
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: devicesQuery.queryKey });
      notifyDone('Your password is changed. Your other devices are signed out.');
      onDone();
    },
  });
  const fields = passwordProblems(change.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (current && fresh) change.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <input type="text" name="username" autoComplete="username" value={user.email} readOnly hidden />
        <PasswordInput
          name="current-password"
          label="Current password"
          autoComplete="current-password"
          autoFocus
          value={current}
          onChange={(event) => setCurrent(event.currentTarget.value)}
          error={fields.current}
          aria-invalid={fields.current !== undefined}
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
        />
        <NewPassword
          checkUrl="/-/api/password-check"
          value={fresh}
          onChange={setFresh}
          context={{ email: user.email, name: user.name }}
          error={fields.fresh}
        />
        {Object.keys(fields).length === 0 && <ProblemNotice error={change.error} />}
        <div>
          <Button type="submit" loading={change.isPending} disabled={!current || !fresh} mr="xs">
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

/** Refusals that are about one of the two passwords, beside their field. */
function passwordProblems(error: unknown): { current?: string; fresh?: string } {
  if (!(error instanceof ProblemError)) return {};
  const { code, title, detail, hint } = error.problem;
  if (code === 'FH_PASSWORD_WRONG') return { current: [`${title}.`, hint].filter(Boolean).join(' ') };
  if (code === 'FH_PASSWORD_REFUSED') return { fresh: [detail ?? `${title}.`, hint].filter(Boolean).join(' ') };
  return {};
}
