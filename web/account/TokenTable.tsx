import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  apiFetch,
  type Column,
  DataTable,
  notifyDone,
  ProblemNotice,
  RelativeTime,
  StateBadge,
} from '../design/index.ts';
import { type ApiToken, describeProgram, scopeWords } from './token-api.ts';

export function TokenTable(props: {
  label: string;
  tokens: readonly ApiToken[];
  /** A token is revoked by DELETE of its id below this. */
  revokePath: string;
  /** Whose tokens they are is a column. */
  showsUser?: boolean;
}) {
  const { label, tokens, revokePath, showsUser = false } = props;
  const [revoking, setRevoking] = useState<ApiToken>();
  const columns: Column<ApiToken>[] = [
    {
      key: 'name',
      header: 'Name',
      sortBy: ({ name }) => name.toLowerCase(),
      cell: ({ name, expired }) => (
        <Group gap="xs">
          <Text fw={500} component="span">
            {name}
          </Text>
          {expired && <StateBadge tone="late">Expired</StateBadge>}
        </Group>
      ),
    },
    ...(showsUser
      ? [
          {
            key: 'user',
            header: 'User',
            sortBy: ({ userName }: ApiToken) => userName.toLowerCase(),
            cell: ({ userName }: ApiToken) => userName,
          },
        ]
      : []),
    { key: 'scope', header: 'May', cell: ({ scope }) => scopeWords[scope].label },
    {
      key: 'created',
      header: 'Made',
      sortBy: ({ createdAt }) => createdAt,
      cell: ({ createdAt }) => <RelativeTime value={createdAt} />,
    },
    {
      key: 'ends',
      header: 'Ends',
      sortBy: ({ expiresAt }) => expiresAt,
      cell: ({ expiresAt }) => <RelativeTime value={expiresAt} />,
    },
    {
      key: 'used',
      header: 'Last use, to the hour',
      sortBy: ({ lastUsedAt }) => lastUsedAt ?? '',
      cell: ({ lastUsedAt, lastUsedRange, lastUsedAgent }) => (
        <div>
          <RelativeTime value={lastUsedAt} />
          {lastUsedAt && (
            <Text size="sm" c="dimmed" title={lastUsedAgent ?? undefined}>
              {describeProgram(lastUsedAgent)}, {lastUsedRange ?? 'unknown network'}
            </Text>
          )}
        </div>
      ),
    },
    {
      key: 'act',
      header: '',
      align: 'right',
      cell: (token) => (
        <Button
          size="compact-sm"
          variant="default"
          aria-label={`${token.expired ? 'Remove' : 'Revoke'} ${token.name}`}
          onClick={() => setRevoking(token)}
        >
          {token.expired ? 'Remove' : 'Revoke'}
        </Button>
      ),
    },
  ];
  return (
    <>
      <DataTable label={label} columns={columns} rows={tokens} rowKey={({ tokenId }) => tokenId} />
      <RevokeDialog token={revoking} revokePath={revokePath} onClose={() => setRevoking(undefined)} />
    </>
  );
}

function RevokeDialog(props: { token: ApiToken | undefined; revokePath: string; onClose: () => void }) {
  const { token, revokePath, onClose } = props;
  const queryClient = useQueryClient();
  const revoke = useMutation({
    mutationFn: ({ tokenId }: ApiToken) =>
      apiFetch(`${revokePath}/${encodeURIComponent(tokenId)}`, { method: 'DELETE' }),
    onSuccess: async (_, { name }) => {
      await queryClient.invalidateQueries({ queryKey: ['api-tokens'] });
      notifyDone(`“${name}” is revoked.`);
      close();
    },
  });
  const close = () => {
    revoke.reset();
    onClose();
  };
  return (
    <Modal opened={token !== undefined} onClose={close} title={<Text fw={600}>Revoke “{token?.name}”</Text>}>
      <Stack gap="md">
        <Text>
          {token?.expired
            ? 'It has expired already; it only leaves this list.'
            : 'Programs that use this token are refused from their next request on. That cannot be undone: make a new token where one is needed.'}
        </Text>
        <ProblemNotice error={revoke.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button data-autofocus color="red" loading={revoke.isPending} onClick={() => token && revoke.mutate(token)}>
            Revoke token
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
