import { Button, Group, Text } from '@mantine/core';
import { useState } from 'react';
import { type Column, DataTable, RelativeTime, StateBadge } from '../design/index.ts';
import { RevokeToken } from './RevokeToken.tsx';
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
      <RevokeToken
        token={revoking}
        revokePath={revokePath}
        queryKey="api-tokens"
        consequence="Programs that use this token are refused from their next request on. That cannot be undone: make a new token where one is needed."
        onClose={() => setRevoking(undefined)}
      />
    </>
  );
}
