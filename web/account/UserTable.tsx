import { ActionIcon, Button, Group, Menu, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  apiFetch,
  type Column,
  DataTable,
  IconDots,
  notifyDone,
  ProblemNotice,
  RelativeTime,
  StateBadge,
} from '../design/index.ts';
import { factorPolicyQuery, type Role, type SessionUser, type User, usersQuery } from './api.ts';
import { StepUpForm } from './StepUpForm.tsx';
import type { Shown } from './useConfirmation.tsx';
import { roleWords } from './words.ts';

/** A change to somebody, as it is asked about before it is made. */
interface Change {
  readonly user: User;
  /** Undefined: the second factor is removed. */
  readonly body: { readonly role: Role } | { readonly state: 'active' | 'disabled' } | undefined;
  readonly title: string;
  readonly what: string;
  readonly label: string;
  readonly grave: boolean;
}

export function UserTable(props: {
  users: readonly User[];
  me: SessionUser;
  /** Ids of those who have a second factor; undefined: not known yet. */
  enrolled: readonly string[] | undefined;
}) {
  const { users, me, enrolled } = props;
  const [change, setChange] = useState<Change>();
  // The menu item that opened the dialog is gone when it closes: back to the button of its menu.
  const close = () => {
    if (change) document.getElementById(menuId(change.user))?.focus();
    setChange(undefined);
  };
  const columns: Column<User>[] = [
    {
      key: 'name',
      header: 'Name',
      sortBy: (user) => user.name,
      cell: (user) => (
        <div>
          <Text fw={500}>
            {user.name}
            {user.userId === me.userId && (
              <Text span c="dimmed" fw={400}>
                {' '}
                (you)
              </Text>
            )}
          </Text>
          <Text size="sm" c="dimmed">
            {user.email}
          </Text>
        </div>
      ),
    },
    { key: 'role', header: 'Role', sortBy: (user) => user.role, cell: (user) => roleWords[user.role].label },
    {
      key: 'state',
      header: 'State',
      sortBy: (user) => user.state,
      cell: (user) =>
        user.state === 'active' ? (
          <StateBadge tone="ok">Active</StateBadge>
        ) : (
          <StateBadge tone="quiet">Disabled</StateBadge>
        ),
    },
    {
      key: 'factor',
      header: 'Second factor',
      sortBy: (user) => (enrolled?.includes(user.userId) ? 0 : 1),
      cell: (user) => (enrolled ? (enrolled.includes(user.userId) ? 'Yes' : 'No') : ''),
    },
    {
      key: 'last',
      header: 'Last sign-in',
      sortBy: (user) => user.lastSignInAt ?? '',
      cell: (user) => <RelativeTime value={user.lastSignInAt} />,
    },
    {
      key: 'act',
      header: '',
      align: 'right',
      width: '3rem',
      narrow: 'corner',
      cell: (user) => (
        <UserMenu user={user} me={me} hasFactor={enrolled?.includes(user.userId) ?? false} onChoose={setChange} />
      ),
    },
  ];
  return (
    <>
      <DataTable
        label="Users"
        columns={columns}
        rows={users}
        rowKey={(user) => user.userId}
        initialSort={{ key: 'name' }}
      />
      <ChangeDialog me={me} change={change} onClose={close} />
    </>
  );
}

function UserMenu(props: { user: User; me: SessionUser; hasFactor: boolean; onChoose: (change: Change) => void }) {
  const { user, me, hasFactor, onChoose } = props;
  // Owners decide about owners; nobody changes themselves, so that nobody locks themselves out.
  if (user.userId === me.userId || (user.role === 'owner' && me.role !== 'owner')) return null;
  const roles = (['member', 'admin', 'owner'] as const).filter(
    (role) => role !== user.role && (role !== 'owner' || me.role === 'owner'),
  );
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <ActionIcon id={menuId(user)} variant="subtle" color="gray" aria-label={`Actions for ${user.name}`}>
          <IconDots size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {roles.map((role) => (
          <Menu.Item
            key={role}
            onClick={() =>
              onChoose({
                user,
                body: { role },
                title: `Make ${user.name} ${roleWords[role].withArticle}`,
                what: `${user.name} may then ${roleWords[role].may}. They are signed out everywhere at once, and have the new role when they sign in again.`,
                label: `Make ${roleWords[role].label.toLowerCase()}`,
                grave: false,
              })
            }
          >
            Make {roleWords[role].label.toLowerCase()}
          </Menu.Item>
        ))}
        <Menu.Divider />
        {hasFactor && (
          <Menu.Item
            onClick={() =>
              onChoose({
                user,
                body: undefined,
                title: `Remove the second factor of ${user.name}`,
                what: `For somebody who has lost app and recovery codes. ${user.name} is signed out everywhere at once, is told by mail, and signs in with the password alone until they set up an app again. Be sure that it is ${user.name} who asks.`,
                label: 'Remove second factor',
                grave: true,
              })
            }
          >
            Remove second factor
          </Menu.Item>
        )}
        {user.state === 'active' ? (
          <Menu.Item
            color="red"
            onClick={() =>
              onChoose({
                user,
                body: { state: 'disabled' },
                title: `Disable ${user.name}`,
                what: `${user.name} is signed out everywhere at once and cannot sign in, and their API tokens are revoked. What they made stays. You can enable them again.`,
                label: 'Disable user',
                grave: true,
              })
            }
          >
            Disable user
          </Menu.Item>
        ) : (
          <Menu.Item
            onClick={() =>
              onChoose({
                user,
                body: { state: 'active' },
                title: `Enable ${user.name}`,
                what: `${user.name} can sign in again with the password they had.`,
                label: 'Enable user',
                grave: false,
              })
            }
          >
            Enable user
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

function menuId(user: User): string {
  return `actions-${user.userId}`;
}

function ChangeDialog(props: { me: SessionUser; change: Change | undefined; onClose: () => void }) {
  const { me, change, onClose } = props;
  const queryClient = useQueryClient();
  const save = useMutation({
    mutationFn: ({ user, body }: Change) =>
      apiFetch(`/-/api/users/${encodeURIComponent(user.userId)}`, { method: 'PATCH', body }),
    onSuccess: (_, { user }) => changed(user),
  });
  const removeFactor = useMutation({
    mutationFn: async (shown: Shown) => {
      if (!change) return;
      const { user } = change;
      await apiFetch(`/-/api/users/${encodeURIComponent(user.userId)}/second-factor/remove`, {
        method: 'POST',
        body: shown,
      });
      await changed(user);
    },
  });
  const changed = async (user: User) => {
    await queryClient.invalidateQueries({ queryKey: usersQuery.queryKey });
    await queryClient.invalidateQueries({ queryKey: factorPolicyQuery.queryKey });
    notifyDone(`${user.name} is changed.`);
    close();
  };
  const close = () => {
    save.reset();
    removeFactor.reset();
    onClose();
  };
  return (
    <Modal opened={change !== undefined} onClose={close} title={<Text fw={600}>{change?.title}</Text>}>
      {change && !change.body ? (
        <StepUpForm user={me} what={change.what} label={change.label} grave act={removeFactor} onCancel={close} />
      ) : (
        <Stack gap="md">
          <Text>{change?.what}</Text>
          <ProblemNotice error={save.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button
              data-autofocus
              color={change?.grave ? 'red' : undefined}
              loading={save.isPending}
              onClick={() => change && save.mutate(change)}
            >
              {change?.label}
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}
