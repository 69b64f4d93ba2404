import { Select } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import {
  apiFetch,
  type Column,
  DataTable,
  EmptyState,
  formatPlural,
  notifyDone,
  notifyProblem,
  Panel,
} from '../design/index.ts';
import type { GroupRole, ScimGroup } from './scim-api.ts';

const options = [
  { value: 'none', label: 'No role' },
  { value: 'member', label: 'Member' },
  { value: 'admin', label: 'Admin' },
];

/** What the members of the directory's groups are here. */
export function ScimGroups({ groups }: { groups: readonly ScimGroup[] }) {
  const queryClient = useQueryClient();
  const map = useMutation({
    mutationFn: ({ group, role }: { group: ScimGroup; role: GroupRole }) =>
      apiFetch(`/-/api/scim/groups/${encodeURIComponent(group.groupId)}/role`, { method: 'PUT', body: { role } }),
    onSuccess: async (_, { group }) => {
      await queryClient.invalidateQueries({ queryKey: ['scim'] });
      notifyDone(`The role of “${group.displayName}” is changed.`);
    },
    onError: notifyProblem,
  });
  if (groups.length === 0)
    return (
      <EmptyState title="No groups so far">
        Groups that your directory pushes appear here, and you decide which of them makes its members admins.
      </EmptyState>
    );
  const columns: Column<ScimGroup>[] = [
    {
      key: 'name',
      header: 'Group',
      sortBy: ({ displayName }) => displayName.toLowerCase(),
      cell: ({ displayName }) => displayName,
    },
    { key: 'members', header: 'Members', cell: ({ memberCount }) => formatPlural(memberCount, 'user') },
    {
      key: 'role',
      header: 'Its members are',
      cell: (group) => (
        <Select
          aria-label={`Role of the members of ${group.displayName}`}
          size="xs"
          maw="10rem"
          data={options}
          allowDeselect={false}
          value={group.role ?? 'none'}
          disabled={map.isPending}
          onChange={(value) => map.mutate({ group, role: value === 'admin' || value === 'member' ? value : null })}
        />
      ),
    },
  ];
  return (
    <Panel
      title="Groups"
      description="Of several roles the highest counts; who leaves their last group with a role becomes a member. Owners stay owners, whatever their groups."
      flush
    >
      <DataTable label="Groups of the directory" columns={columns} rows={groups} rowKey={({ groupId }) => groupId} />
    </Panel>
  );
}
