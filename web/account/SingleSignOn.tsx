import { Button, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { CopyableLine, EmptyState, ErrorState, IconPlus, LoadingState, PageTitle, Panel } from '../design/index.ts';
import { sessionQuery } from './api.ts';
import { ConnectionForm } from './ConnectionForm.tsx';
import { ConnectionPanel } from './ConnectionPanel.tsx';
import { SignOnPolicy } from './SignOnPolicy.tsx';
import { signOnSettingsQuery } from './sign-on-api.ts';

/** Identity providers over which the tenant's people sign in. Seen by admins, changed by owners. */
export function SingleSignOn() {
  const me = useQuery(sessionQuery).data?.user;
  const isAdmin = me !== undefined && me.role !== 'member';
  const settings = useQuery({ ...signOnSettingsQuery, enabled: isAdmin });
  const [creating, setCreating] = useState(false);
  if (!me) return null;
  if (!isAdmin)
    return (
      <>
        <PageTitle title="Single sign-on" />
        <EmptyState title="This page is for admins and owners">
          It lets people sign in with the account that they have at your company.
        </EmptyState>
      </>
    );
  const isOwner = me.role === 'owner';
  const create = isOwner ? (
    <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)}>
      New connection
    </Button>
  ) : undefined;
  return (
    <>
      <PageTitle
        title="Single sign-on"
        subtitle={
          isOwner
            ? 'People sign in with the account that they have at your company.'
            : 'People sign in with the account that they have at your company. Owners change what is here.'
        }
        action={create}
      />
      {settings.isPending && <LoadingState rows={6} />}
      {settings.isError && <ErrorState error={settings.error} onRetry={() => void settings.refetch()} />}
      {settings.data && (
        <Stack gap="xl" maw="52rem">
          {settings.data.connections.length === 0 && (
            <EmptyState title="No provider is connected">
              Register this account at your provider (Entra ID, Okta, Google and others) with OpenID Connect or SAML,
              and give it the addresses below. Then make a connection with what the provider shows you.
            </EmptyState>
          )}
          {settings.data.connections.map((connection) => (
            <ConnectionPanel
              key={connection.connectionId}
              connection={connection}
              domains={settings.data.domains.filter((one) => one.connectionId === connection.connectionId)}
              entityId={settings.data.addresses.entityId}
              user={me}
            />
          ))}
          <Panel title="What your provider asks for" description="Which of them depends on how it is connected.">
            <Stack gap="xs">
              <Text fw={600}>OpenID Connect</Text>
              <Text size="sm" c="dimmed">
                The redirect address, also called callback.
              </Text>
              <CopyableLine value={settings.data.addresses.redirectUri} what="redirect address" />
              <Text fw={600} mt="md">
                SAML
              </Text>
              <Text size="sm" c="dimmed">
                The entity ID, also called audience or identifier. At this address there are our metadata, too.
              </Text>
              <CopyableLine value={settings.data.addresses.entityId} what="entity ID" />
              <Text size="sm" c="dimmed">
                The ACS URL, also called reply URL or single sign-on URL.
              </Text>
              <CopyableLine value={settings.data.addresses.acsUrl} what="ACS URL" />
            </Stack>
          </Panel>
          {settings.data.connections.length > 0 && <SignOnPolicy settings={settings.data} user={me} />}
        </Stack>
      )}
      <ConnectionForm opened={creating} onClose={() => setCreating(false)} user={me} />
    </>
  );
}
