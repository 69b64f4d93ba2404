import { Button, Group, Modal, Radio, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import {
  ErrorState,
  Fact,
  Facts,
  Notice,
  notifyDone,
  Panel,
  ProblemNotice,
  RelativeTime,
  StateBadge,
} from '../../design/index.ts';
import type { Tenant } from '../api.ts';
import { chooseRing, type Ring, rings, type Standing, standingQuery } from './api.ts';
import { ringLabels, ringMeanings } from './words.ts';

/** Which version the tenant runs and with which ring it gets the next; nothing for apps that come with Freehold. */
export function TenantRing({ tenant }: { tenant: Tenant }) {
  const standing = useQuery({ ...standingQuery(tenant.tenantId), refetchInterval: 15_000 });
  const [isChoosing, setChoosing] = useState(false);
  if (standing.isError) return <ErrorState error={standing.error} onRetry={() => void standing.refetch()} />;
  if (!standing.data) return null;
  const { version, since, ring, isHeld } = standing.data;
  return (
    <Panel
      title="Version"
      action={
        tenant.state !== 'deleted' && (
          <Button variant="default" onClick={() => setChoosing(true)}>
            Choose ring
          </Button>
        )
      }
    >
      <Facts>
        <Fact label="Runs">
          {standing.data.app.title} {version}
        </Fact>
        <Fact label="Since">
          <RelativeTime value={since} />
        </Fact>
        <Fact label="Ring">
          <Group gap="xs">
            {ringLabels[ring]}
            {isHeld && <StateBadge tone="late">Held</StateBadge>}
          </Group>
        </Fact>
      </Facts>
      {isHeld && (
        <Text size="sm" c="dimmed" mt="xs">
          Somebody gave it this version by hand, so releases pass it over. Choose its ring to let it follow them again.
        </Text>
      )}
      {isChoosing && <RingDialog tenant={tenant} standing={standing.data} onClose={() => setChoosing(false)} />}
    </Panel>
  );
}

function RingDialog({ tenant, standing, onClose }: { tenant: Tenant; standing: Standing; onClose: () => void }) {
  const [ring, setRing] = useState<Ring>(standing.ring);
  const queryClient = useQueryClient();
  const choose = useMutation({
    mutationFn: () => chooseRing(tenant.tenantId, ring),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['tenant-version'] });
      await queryClient.invalidateQueries({ queryKey: ['releasable-apps'] });
      notifyDone(`${tenant.name} gets versions with ${ring}.`);
      onClose();
    },
  });
  const isSame = ring === standing.ring && !standing.isHeld;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!isSame && !choose.isPending) choose.mutate();
  };
  return (
    <Modal opened onClose={onClose} title={<Text fw={600}>Ring of {tenant.name}</Text>}>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <Radio.Group aria-label="Ring" value={ring} onChange={(value) => setRing(value as Ring)}>
            <Stack gap="xs">
              {rings.map((each) => (
                <Radio key={each} value={each} label={ringLabels[each]} description={ringMeanings[each]} />
              ))}
            </Stack>
          </Radio.Group>
          <Notice tone="late">
            <Text size="sm">
              If the ring runs another version than {standing.version}, the tenant is brought to it within a minute, and
              is closed for some seconds meanwhile.
            </Text>
          </Notice>
          <ProblemNotice error={choose.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={choose.isPending} disabled={isSame}>
              Choose ring
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
