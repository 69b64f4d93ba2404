import { Button, Code, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { EmptyState, ErrorState, IconPlus, LoadingState, PageTitle, Panel } from '../design/index.ts';
import { sessionQuery } from './api.ts';
import { CreateToken } from './CreateToken.tsx';
import { TokenTable } from './TokenTable.tsx';
import { allTokensQuery, ownTokensQuery } from './token-api.ts';

/** Keys for programs: one's own, and for admins those of everybody. */
export function ApiTokens() {
  const me = useQuery(sessionQuery).data?.user;
  const [creating, setCreating] = useState(false);
  if (!me) return null;
  const create = (
    <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)}>
      New token
    </Button>
  );
  return (
    <>
      <PageTitle title="API tokens" subtitle="Keys with which programs use the app in your name." action={create} />
      <Stack gap="xl">
        <OwnTokens onCreate={() => setCreating(true)} />
        {me.role !== 'member' && <AllTokens isOwner={me.role === 'owner'} userId={me.userId} />}
      </Stack>
      <CreateToken opened={creating} onClose={() => setCreating(false)} email={me.email} />
    </>
  );
}

function OwnTokens({ onCreate }: { onCreate: () => void }) {
  const tokens = useQuery(ownTokensQuery);
  if (tokens.isPending) return <LoadingState rows={3} />;
  if (tokens.isError) return <ErrorState error={tokens.error} onRetry={() => void tokens.refetch()} />;
  if (tokens.data.length === 0)
    return (
      <EmptyState
        title="You have no API tokens"
        action={
          <Button variant="default" onClick={onCreate}>
            Make the first one
          </Button>
        }
      >
        With a token a program can do in the app what you may do there, until the token ends or you revoke it. It is
        sent as <Code>Authorization: Bearer …</Code>; the address <Code>/api/openapi.json</Code> tells what there is to
        ask.
      </EmptyState>
    );
  return (
    <Panel title="Your tokens" description="A revoked token is refused from its next request on." flush>
      <TokenTable label="Your API tokens" tokens={tokens.data} revokePath="/-/api/tokens" />
    </Panel>
  );
}

function AllTokens({ isOwner, userId }: { isOwner: boolean; userId: string }) {
  const tokens = useQuery(allTokensQuery);
  const others = tokens.data?.filter((token) => token.userId !== userId);
  return (
    <Panel
      title="Tokens of other people"
      description={
        isOwner
          ? 'Everybody in this account who lets programs act for them. Who is disabled loses their tokens.'
          : 'Everybody in this account who lets programs act for them. Tokens of owners are revoked by owners.'
      }
      flush
    >
      {tokens.isPending && <LoadingState rows={2} />}
      {tokens.isError && <ErrorState error={tokens.error} onRetry={() => void tokens.refetch()} />}
      {others?.length === 0 && (
        <EmptyState title="Nobody else has an API token">What others make appears here.</EmptyState>
      )}
      {others && others.length > 0 && (
        <TokenTable label="API tokens of other people" tokens={others} revokePath="/-/api/users/tokens" showsUser />
      )}
    </Panel>
  );
}
