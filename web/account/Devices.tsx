import { Button, Checkbox, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  apiFetch,
  type Column,
  DataTable,
  ErrorState,
  formatPlural,
  LoadingState,
  leaveAccount,
  notifyDone,
  notifyProblem,
  Panel,
  ProblemNotice,
  RelativeTime,
  StateBadge,
} from '../design/index.ts';
import { type Device, devicesQuery } from './api.ts';
import { ownTokensQuery } from './token-api.ts';
import { describeDevice } from './words.ts';

/** Where the person is signed in, and the ways to end it. */
export function Devices() {
  const devices = useQuery(devicesQuery);
  const queryClient = useQueryClient();
  const revoke = useMutation({
    mutationFn: (device: Device) =>
      apiFetch(`/-/api/sessions/${encodeURIComponent(device.sessionId)}`, { method: 'DELETE' }),
    onSuccess: async (_, device) => {
      await queryClient.invalidateQueries({ queryKey: devicesQuery.queryKey });
      notifyDone(`${describeDevice(device.userAgent)} is signed out.`);
    },
    onError: notifyProblem,
  });
  const columns: Column<Device>[] = [
    {
      key: 'device',
      header: 'Device',
      cell: (device) => (
        <Group gap="xs">
          <span title={device.userAgent ?? undefined}>{describeDevice(device.userAgent)}</span>
          {device.current && <StateBadge tone="ok">This device</StateBadge>}
        </Group>
      ),
    },
    { key: 'address', header: 'Address', cell: (device) => device.address ?? 'unknown' },
    { key: 'created', header: 'Signed in', cell: (device) => <RelativeTime value={device.createdAt} /> },
    { key: 'used', header: 'Last use', cell: (device) => <RelativeTime value={device.lastUsedAt} /> },
    {
      key: 'act',
      header: '',
      align: 'right',
      cell: (device) =>
        device.current ? null : (
          <Button
            size="compact-sm"
            variant="default"
            loading={revoke.isPending && revoke.variables.sessionId === device.sessionId}
            onClick={() => revoke.mutate(device)}
          >
            Sign out
          </Button>
        ),
    },
  ];
  return (
    <Panel
      title="Devices"
      description="Every browser that is signed in as you. Signing one out takes effect at its next request."
      action={
        <Group gap="xs">
          {devices.data && devices.data.length > 1 && <SignOutOthers count={devices.data.length - 1} />}
          <SignOutEverywhere />
        </Group>
      }
      flush
    >
      {devices.isPending && <LoadingState rows={3} />}
      {devices.isError && <ErrorState error={devices.error} onRetry={() => void devices.refetch()} />}
      {devices.data && (
        <DataTable label="Devices" columns={columns} rows={devices.data} rowKey={(device) => device.sessionId} />
      )}
    </Panel>
  );
}

function SignOutOthers({ count }: { count: number }) {
  const queryClient = useQueryClient();
  const end = useMutation({
    mutationFn: () => apiFetch('/-/api/sessions/others', { method: 'DELETE' }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: devicesQuery.queryKey });
      notifyDone(`${formatPlural(count, 'other device', 'other devices')} signed out.`);
    },
    onError: notifyProblem,
  });
  return (
    <Button variant="default" loading={end.isPending} onClick={() => end.mutate()}>
      Sign out others
    </Button>
  );
}

function SignOutEverywhere() {
  const [asking, setAsking] = useState(false);
  const [revokes, setRevokes] = useState(false);
  const tokens = useQuery({ ...ownTokensQuery, enabled: asking }).data?.filter(({ expired }) => !expired);
  const end = useMutation({
    mutationFn: () => apiFetch(`/-/api/sessions${revokes ? '?tokens=revoke' : ''}`, { method: 'DELETE' }),
    onSuccess: () => leaveAccount('/-/signed-out'),
  });
  return (
    <>
      <Button variant="default" onClick={() => setAsking(true)}>
        Sign out everywhere
      </Button>
      <Modal opened={asking} onClose={() => setAsking(false)} title={<Text fw={600}>Sign out everywhere</Text>}>
        <Stack gap="md">
          <Text>All your devices are signed out at once, this one as well. Your password stays the same.</Text>
          {tokens && tokens.length > 0 && (
            <Checkbox
              checked={revokes}
              onChange={(event) => setRevokes(event.currentTarget.checked)}
              label={`Revoke my ${formatPlural(tokens.length, 'API token', 'API tokens')} as well`}
              description="Programs that use them are refused from their next request on."
            />
          )}
          <ProblemNotice error={end.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={() => setAsking(false)}>
              Cancel
            </Button>
            <Button loading={end.isPending || end.isSuccess} onClick={() => end.mutate()} data-autofocus>
              Sign out everywhere
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
