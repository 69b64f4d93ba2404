import { Button, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import {
  EmptyState,
  ErrorState,
  formatPlural,
  IconPlus,
  LoadingState,
  PageTitle,
  SearchField,
} from '../design/index.ts';
import { factorPolicyQuery, sessionQuery, usersQuery } from './api.ts';
import { FactorPolicy } from './FactorPolicy.tsx';
import { InviteDialog } from './InviteDialog.tsx';
import { OpenInvitations } from './OpenInvitations.tsx';
import { UserTable } from './UserTable.tsx';

/** Who may use this tenant, and who is invited. */
export function People() {
  const me = useQuery(sessionQuery).data?.user;
  const users = useQuery({ ...usersQuery, enabled: me !== undefined && me.role !== 'member' });
  const policy = useQuery({ ...factorPolicyQuery, enabled: me !== undefined && me.role !== 'member' });
  const [search, setSearch] = useState('');
  const [inviting, setInviting] = useState(false);
  if (!me) return null;
  if (me.role === 'member')
    return (
      <>
        <PageTitle title="People" />
        <EmptyState title="This page is for admins and owners">
          You are a member: you can work in the app, and an admin decides who else can. Ask an admin if somebody should
          be invited.
        </EmptyState>
      </>
    );
  const sought = search.trim().toLowerCase();
  const shown = users.data?.filter((user) => `${user.name} ${user.email}`.toLowerCase().includes(sought));
  return (
    <>
      <PageTitle
        title="People"
        subtitle={users.data ? `${formatPlural(users.data.length, 'user')} in this tenant` : undefined}
        action={
          <Button leftSection={<IconPlus size={16} />} onClick={() => setInviting(true)}>
            Invite
          </Button>
        }
      />
      <Stack gap="xl">
        <Stack gap="sm">
          <SearchField label="Search by name or e-mail" value={search} onChange={setSearch} maw="24rem" />
          {users.isPending && <LoadingState />}
          {users.isError && <ErrorState error={users.error} onRetry={() => void users.refetch()} />}
          {shown && shown.length > 0 && <UserTable users={shown} me={me} enrolled={policy.data?.enrolled} />}
          {shown?.length === 0 && (
            <EmptyState
              title={`Nobody matches “${search}”`}
              action={
                <Button variant="default" onClick={() => setSearch('')}>
                  Show everybody
                </Button>
              }
            />
          )}
        </Stack>
        <OpenInvitations />
        <FactorPolicy user={me} />
      </Stack>
      <InviteDialog opened={inviting} onClose={() => setInviting(false)} myRole={me.role} />
    </>
  );
}
