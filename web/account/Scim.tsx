import { Button, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import {
  CopyableLine,
  EmptyState,
  ErrorState,
  IconPlus,
  LoadingState,
  PageTitle,
  Panel,
  RelativeTime,
} from '../design/index.ts';
import { sessionQuery } from './api.ts';
import { CreateScimToken } from './CreateScimToken.tsx';
import { ScimGroups } from './ScimGroups.tsx';
import { ScimTokens } from './ScimTokens.tsx';
import { scimQuery } from './scim-api.ts';

/** How a directory keeps the users of this tenant: where it reaches us, with which tokens, and what its groups mean. */
export function Scim() {
  const me = useQuery(sessionQuery).data?.user;
  const isAdmin = me !== undefined && me.role !== 'member';
  const settings = useQuery({ ...scimQuery, enabled: isAdmin });
  const [creating, setCreating] = useState(false);
  if (!me) return null;
  if (!isAdmin)
    return (
      <>
        <PageTitle title="Provisioning" />
        <EmptyState title="This page is for admins and owners">
          It connects this account with the directory of your company.
        </EmptyState>
      </>
    );
  const create = (
    <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)}>
      New token
    </Button>
  );
  return (
    <>
      <PageTitle
        title="Provisioning"
        subtitle="Your directory (Entra ID, Okta and others) makes, changes and disables users here, by SCIM 2.0."
        action={create}
      />
      {settings.isPending && <LoadingState rows={6} />}
      {settings.isError && <ErrorState error={settings.error} onRetry={() => void settings.refetch()} />}
      {settings.data && (
        <Stack gap="xl">
          <Panel
            title="Connection"
            description="What the directory asks you for: this address, and a token from below."
          >
            <Stack gap="md">
              <CopyableLine value={settings.data.baseUrl} what="base URL" />
              <LastRequest tokens={settings.data.tokens} />
              <Text size="sm" c="dimmed">
                Whom the directory makes gets no password and no mail: they sign in by single sign-on or choose a
                password with “Forgot your password?”. Whom it disables or deletes is signed out at once; their work
                stays. The last active owner is never disabled.
              </Text>
            </Stack>
          </Panel>
          <ScimTokens tokens={settings.data.tokens} isOwner={me.role === 'owner'} onCreate={() => setCreating(true)} />
          <ScimGroups groups={settings.data.groups} />
        </Stack>
      )}
      <CreateScimToken opened={creating} onClose={() => setCreating(false)} email={me.email} />
    </>
  );
}

function LastRequest({ tokens }: { tokens: readonly { lastUsedAt?: string | null }[] }) {
  const last = tokens
    .map(({ lastUsedAt }) => lastUsedAt ?? '')
    .sort()
    .at(-1);
  return <Text>Last request: {last ? <RelativeTime value={last} /> : 'none so far'}</Text>;
}
