import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import {
  apiFetch,
  type Column,
  DataTable,
  EmptyState,
  ErrorState,
  LoadingState,
  notifyDone,
  notifyProblem,
  Panel,
  RelativeTime,
} from '../design/index.ts';
import { type Invitation, invitationsQuery } from './api.ts';
import { roleWords } from './words.ts';

export function OpenInvitations() {
  const invitations = useQuery(invitationsQuery);
  const queryClient = useQueryClient();
  const revoke = useMutation({
    mutationFn: (invitation: Invitation) =>
      apiFetch(`/-/api/invitations/${encodeURIComponent(invitation.invitationId)}`, { method: 'DELETE' }),
    onSuccess: async (_, invitation) => {
      await queryClient.invalidateQueries({ queryKey: invitationsQuery.queryKey });
      notifyDone(`The invitation of ${invitation.email} is revoked. Its link no longer works.`);
    },
    onError: notifyProblem,
  });
  const columns: Column<Invitation>[] = [
    {
      key: 'email',
      header: 'E-mail',
      sortBy: (invitation) => invitation.email,
      cell: (invitation) => invitation.email,
    },
    { key: 'role', header: 'Role', cell: (invitation) => roleWords[invitation.role].label },
    { key: 'by', header: 'Invited by', cell: (invitation) => invitation.invitedBy ?? 'the operator' },
    { key: 'ends', header: 'Ends', cell: (invitation) => <RelativeTime value={invitation.expiresAt} /> },
    {
      key: 'act',
      header: '',
      align: 'right',
      cell: (invitation) => (
        <Button
          size="compact-sm"
          variant="default"
          loading={revoke.isPending && revoke.variables.invitationId === invitation.invitationId}
          onClick={() => revoke.mutate(invitation)}
        >
          Revoke
        </Button>
      ),
    },
  ];
  return (
    <Panel title="Open invitations" flush>
      {invitations.isPending && <LoadingState rows={2} />}
      {invitations.isError && <ErrorState error={invitations.error} onRetry={() => void invitations.refetch()} />}
      {invitations.data?.length === 0 && (
        <EmptyState title="No open invitations">Invitations that nobody has used yet appear here.</EmptyState>
      )}
      {invitations.data && invitations.data.length > 0 && (
        <DataTable
          label="Open invitations"
          columns={columns}
          rows={invitations.data}
          rowKey={(invitation) => invitation.invitationId}
        />
      )}
    </Panel>
  );
}
