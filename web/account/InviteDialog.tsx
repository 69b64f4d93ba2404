import { Button, Group, Modal, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, CopyableLine, Notice, ProblemError, ProblemNotice, RelativeTime } from '../design/index.ts';
import { invitationsQuery, type Role } from './api.ts';
import { roleOptions, roleWords } from './words.ts';

interface NewInvitation {
  readonly email: string;
  /** Whole link; shown this once, because only a hash of its token is kept. */
  readonly url: string;
  readonly expiresAt: string;
}

export function InviteDialog(props: { opened: boolean; onClose: () => void; myRole: Role }) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={<Text fw={600}>Invite somebody</Text>}>
      {props.opened && <InviteForm {...props} />}
    </Modal>
  );
}

function InviteForm({ onClose, myRole }: { onClose: () => void; myRole: Role }) {
  const [email, setEmail] = useState('');
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('member');
  const queryClient = useQueryClient();
  const invite = useMutation({
    mutationFn: () =>
      apiFetch<NewInvitation>('/-/api/invitations', {
        method: 'POST',
        body: { email: email.trim(), role, ...(name.trim() ? { name: name.trim() } : {}) },
      }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: invitationsQuery.queryKey }),
  });
  if (invite.data) return <InvitationLink invitation={invite.data} onClose={onClose} />;
  const fields = fieldProblems(invite.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (email.trim()) invite.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <TextInput
          data-autofocus
          label="E-mail"
          type="email"
          autoComplete="off"
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
          error={fields.email}
        />
        <TextInput
          label="Name"
          description="They can change it. Optional."
          autoComplete="off"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={fields.name}
        />
        <Select
          label="Role"
          description={`May ${roleWords[role].may}.`}
          data={roleOptions.filter((option) => option.value !== 'owner' || myRole === 'owner')}
          value={role}
          onChange={(value) => setRole(value as Role)}
        />
        {!fields.email && !fields.name && <ProblemNotice error={invite.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={invite.isPending} disabled={!email.trim()}>
            Make the invitation
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function InvitationLink({ invitation, onClose }: { invitation: NewInvitation; onClose: () => void }) {
  return (
    <Stack gap="md">
      <Text>
        Send this link to <b>{invitation.email}</b>. It works once and ends{' '}
        <RelativeTime value={invitation.expiresAt} />.
      </Text>
      <CopyableLine value={invitation.url} what="invitation link" />
      <Notice tone="late">
        Whoever has the link can use it, and it is shown only now. If it gets lost, revoke the invitation and make
        another.
      </Notice>
      <Group justify="flex-end">
        <Button onClick={onClose}>Done</Button>
      </Group>
    </Stack>
  );
}

/** Refusals that are about one field. */
function fieldProblems(error: unknown): { readonly email?: string; readonly name?: string } {
  if (!(error instanceof ProblemError)) return {};
  const { code, fields, title, detail, hint } = error.problem;
  const text = [detail ?? `${title}.`, hint].filter(Boolean).join(' ');
  if (code === 'FH_EMAIL_REFUSED' || code === 'FH_USER_EXISTS') return { email: text };
  if (code === 'FH_NAME_REFUSED') return { name: text };
  return fields;
}
