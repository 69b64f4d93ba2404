import { Button, Group, Text } from '@mantine/core';
import { useState } from 'react';
import { type Column, DataTable, EmptyState, Panel, RelativeTime, StateBadge } from '../design/index.ts';
import { RevokeToken } from './RevokeToken.tsx';
import type { ScimToken } from './scim-api.ts';
import { describeProgram } from './token-api.ts';

export function ScimTokens(props: { tokens: readonly ScimToken[]; isOwner: boolean; onCreate: () => void }) {
  const { tokens, isOwner, onCreate } = props;
  const [revoking, setRevoking] = useState<ScimToken>();
  if (tokens.length === 0)
    return (
      <EmptyState
        title="No directory is connected"
        action={
          <Button variant="default" onClick={onCreate}>
            Make the first token
          </Button>
        }
      >
        With a token, the directory of your company keeps the users of this account: who joins can sign in, who leaves
        cannot.
      </EmptyState>
    );
  const columns: Column<ScimToken>[] = [
    {
      key: 'name',
      header: 'Name',
      cell: ({ name, expired, byOwner }) => (
        <div>
          <Group gap="xs">
            <Text fw={500} component="span">
              {name}
            </Text>
            {expired && <StateBadge tone="late">Expired</StateBadge>}
          </Group>
          <Text size="sm" c="dimmed">
            {byOwner ? 'May disable owners' : 'May not disable owners'}
          </Text>
        </div>
      ),
    },
    {
      key: 'created',
      header: 'Made',
      cell: ({ createdAt, createdByName }) => (
        <div>
          <RelativeTime value={createdAt} />
          <Text size="sm" c="dimmed">
            {createdByName ?? 'by somebody who left'}
          </Text>
        </div>
      ),
    },
    { key: 'ends', header: 'Ends', cell: ({ expiresAt }) => <RelativeTime value={expiresAt} /> },
    {
      key: 'used',
      header: 'Last request, to 5 minutes',
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
      cell: (token) =>
        token.byOwner && !isOwner ? (
          <Text size="sm" c="dimmed">
            Revoked by owners
          </Text>
        ) : (
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
    <Panel title="Tokens" description="A revoked token is refused from its next request on." flush>
      <DataTable label="SCIM tokens" columns={columns} rows={tokens} rowKey={({ tokenId }) => tokenId} />
      <RevokeToken
        token={revoking}
        revokePath="/-/api/scim/tokens"
        queryKey="scim"
        consequence="The directory that uses this token is refused from its next request on: who joins or leaves is not taken over until it has another."
        onClose={() => setRevoking(undefined)}
      />
    </Panel>
  );
}
