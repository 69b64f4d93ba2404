import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  apiFetch,
  CopyableLine,
  Fact,
  Facts,
  Notice,
  notifyDone,
  Panel,
  ProblemNotice,
  RelativeTime,
  StateBadge,
} from '../design/index.ts';
import type { SessionUser } from './api.ts';
import { ConnectionForm } from './ConnectionForm.tsx';
import { SamlFacts } from './SamlFacts.tsx';
import { StepUpForm } from './StepUpForm.tsx';
import { type Connection, goToProvider, type MailDomain, type SignOnTest } from './sign-on-api.ts';
import type { Shown } from './useConfirmation.tsx';

type Act = { readonly title: string; readonly what: string; readonly label: string; readonly grave?: boolean } & (
  | { readonly kind: 'request'; readonly method: 'POST' | 'PUT'; readonly path: string; readonly body: object }
  | { readonly kind: 'add-domain' }
);

/** One connection: its state, its last test, its domains, and what an owner can do with it. */
export function ConnectionPanel(props: {
  connection: Connection;
  domains: readonly MailDomain[];
  /** Ours, where our metadata are. */
  entityId: string;
  user: SessionUser;
}) {
  const { connection, domains, entityId, user } = props;
  const { connectionId, kind, name, state, hasSecret, lastTest, settings } = connection;
  const path = `/-/api/sign-on/connections/${connectionId}`;
  const [isChanging, setChanging] = useState(false);
  const [act, setAct] = useState<Act>();
  const [domain, setDomain] = useState('');
  const queryClient = useQueryClient();
  const refresh = () => queryClient.invalidateQueries({ queryKey: ['sign-on'] });
  const test = useMutation({ mutationFn: () => goToProvider(`${path}/test`) });
  const prove = useMutation({
    mutationFn: (one: string) => apiFetch(`/-/api/sign-on/domains/${one}/prove`, { method: 'POST' }),
    onSuccess: (_, one) => {
      notifyDone(`${one} is proven.`);
      return refresh();
    },
  });
  const confirmed = useMutation({
    mutationFn: (shown: Shown) => {
      if (act?.kind === 'request') return apiFetch(act.path, { method: act.method, body: { ...act.body, ...shown } });
      return apiFetch('/-/api/sign-on/domains', { method: 'POST', body: { domain, connectionId, ...shown } });
    },
    meta: { expects401: true },
    onSuccess: async () => {
      await refresh();
      setAct(undefined);
      setDomain('');
    },
  });
  const begin = (next: Act) => {
    confirmed.reset();
    setAct(next);
  };
  const isOwner = user.role === 'owner';
  const toggle = state === 'on' ? 'off' : 'on';
  return (
    <Panel
      title={name}
      description={settings.issuer ?? settings.idpEntityId}
      action={<StateBadge tone={state === 'on' ? 'ok' : 'quiet'}>{state === 'on' ? 'On' : 'Off'}</StateBadge>}
    >
      <Stack gap="md">
        {!hasSecret && (
          <Notice tone="late" title="The secret is not here">
            This account is a copy, or was restored.{' '}
            {kind === 'saml' ? 'Make a new key, give the provider our metadata again' : 'Enter the secret again'}, then
            test.
          </Notice>
        )}
        <TestResult test={lastTest} />
        <ProblemNotice error={test.error} />
        {isOwner && (
          <Group gap="xs">
            <Button
              variant={state === 'off' && !lastTest?.passed ? 'filled' : 'default'}
              disabled={!hasSecret}
              loading={test.isPending || test.isSuccess}
              onClick={() => test.mutate()}
            >
              Test
            </Button>
            <Button variant="default" onClick={() => setChanging(true)}>
              Change
            </Button>
            <Button
              variant={toggle === 'on' && lastTest?.passed ? 'filled' : 'default'}
              disabled={toggle === 'on' && !lastTest?.passed}
              onClick={() =>
                begin({
                  kind: 'request',
                  method: 'PUT',
                  path: `${path}/state`,
                  body: { state: toggle },
                  title: `Turn ${name} ${toggle}`,
                  what:
                    toggle === 'on'
                      ? 'The sign-in page offers it to everybody from now on.'
                      : 'Nobody signs in over it from now on, and its people are signed out, except you.',
                  label: `Turn ${toggle}`,
                })
              }
            >
              Turn {toggle}
            </Button>
            <Button
              variant="default"
              onClick={() =>
                begin({
                  kind: 'request',
                  method: 'POST',
                  path: `${path}/remove`,
                  body: {},
                  title: `Remove ${name}`,
                  what: 'Its domains and the links of its people go with it, and they are signed out. The users stay.',
                  label: 'Remove',
                  grave: true,
                })
              }
            >
              Remove
            </Button>
          </Group>
        )}
        {kind === 'saml' && <SamlFacts connection={connection} entityId={entityId} />}
        <Text fw={600}>Mail domains</Text>
        {domains.length === 0 && (
          <Text c="dimmed">None yet: until one is proven, nobody gets in over this connection.</Text>
        )}
        {domains.map((one) => (
          <Stack key={one.domain} gap="xs">
            <Group gap="xs">
              <Text>{one.domain}</Text>
              <StateBadge tone={one.provenAt ? 'ok' : 'late'}>{one.provenAt ? 'Proven' : 'Not proven'}</StateBadge>
              {isOwner && !one.provenAt && (
                <Button
                  size="compact-sm"
                  variant="default"
                  loading={prove.isPending}
                  onClick={() => prove.mutate(one.domain)}
                >
                  Look now
                </Button>
              )}
              {isOwner && (
                <Button
                  size="compact-sm"
                  variant="subtle"
                  aria-label={`Remove ${one.domain}`}
                  onClick={() =>
                    begin({
                      kind: 'request',
                      method: 'POST',
                      path: `/-/api/sign-on/domains/${one.domain}/remove`,
                      body: {},
                      title: `Remove ${one.domain}`,
                      what: 'Nobody new with such an address gets in over this connection. Who did so before still does.',
                      label: 'Remove',
                      grave: true,
                    })
                  }
                >
                  Remove
                </Button>
              )}
            </Group>
            {!one.provenAt && (
              <>
                <Text size="sm" c="dimmed">
                  Add a TXT record to your DNS: this name, and this value.
                </Text>
                <CopyableLine value={one.recordName} what={`record name of ${one.domain}`} />
                <CopyableLine value={one.token} what={`record value of ${one.domain}`} />
              </>
            )}
          </Stack>
        ))}
        <ProblemNotice error={prove.error} />
        {isOwner && (
          <div>
            <Button
              variant="default"
              onClick={() =>
                begin({
                  kind: 'add-domain',
                  title: 'Add a mail domain',
                  what: 'You are shown a record for your DNS. Until it is found there, the domain counts for nothing.',
                  label: 'Add',
                })
              }
            >
              Add a domain
            </Button>
          </div>
        )}
      </Stack>
      <ConnectionForm opened={isChanging} onClose={() => setChanging(false)} user={user} connection={connection} />
      <Modal opened={act !== undefined} onClose={() => setAct(undefined)} title={<Text fw={600}>{act?.title}</Text>}>
        {act && (
          <Stack gap="md">
            {act.kind === 'add-domain' && (
              <TextInput
                label="Domain"
                placeholder="example.com"
                autoComplete="off"
                spellCheck={false}
                value={domain}
                onChange={(event) => setDomain(event.currentTarget.value)}
              />
            )}
            <StepUpForm
              user={user}
              what={act.what}
              label={act.label}
              grave={act.grave ?? false}
              act={confirmed}
              onCancel={() => setAct(undefined)}
            />
          </Stack>
        )}
      </Modal>
    </Panel>
  );
}

function TestResult({ test }: { test: SignOnTest | null }) {
  if (!test)
    return (
      <Notice tone="late" title="Not tested as it is now">
        Test it: you sign in at the provider, and see here what it tells about you. Nothing else happens.
      </Notice>
    );
  return (
    <>
      {!test.passed && (
        <Notice tone="urgent" title="The last test failed">
          {test.sentence}
        </Notice>
      )}
      <Facts>
        <Fact label="Last test">
          <RelativeTime value={test.at} />
          {test.passed ? ', passed' : ', failed'}
        </Fact>
        {test.email && <Fact label="Address">{test.email}</Fact>}
        {test.role && <Fact label="Role">{test.role}</Fact>}
        {test.secondFactor !== null && (
          <Fact label="Counts as a second factor">{test.secondFactor ? 'Yes' : 'No'}</Fact>
        )}
        {test.claims.length > 0 && <Fact label="Told by the provider">{test.claims.join(', ')}</Fact>}
      </Facts>
    </>
  );
}
