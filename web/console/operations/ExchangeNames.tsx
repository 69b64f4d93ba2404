import { Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { apiFetch, ConfirmByName, Notice, TextLink } from '../../design/index.ts';
import { mayStart, type Operation, tenantQuery } from '../api.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';

/** After two tenants have exchanged their names: who is where, and the way back while nobody has exchanged them again. */
export function Exchanged({ operation }: { operation: Operation }) {
  const { url, keptName, keptTenantId } = operation.result;
  const current = useQuery(tenantQuery(operation.tenantId)).data;
  if (typeof url !== 'string' || typeof keptName !== 'string' || typeof keptTenantId !== 'string') return null;
  const name = new URL(url).hostname.split('.')[0]!;
  return (
    <Stack gap="xs">
      <Text>
        {name} is now{' '}
        <TextLink to="/tenants/$tenantId" params={{ tenantId: operation.tenantId }} underline="always">
          {operation.kind === 'restore' ? 'the restored tenant' : 'this tenant'}
        </TextLink>
        ; the one that had the name before is kept as{' '}
        <TextLink to="/tenants/$tenantId" params={{ tenantId: keptTenantId }} underline="always">
          {keptName}
        </TextLink>
        .
      </Text>
      {current?.name === name ? (
        <Exchange
          label="Exchange the names again"
          tenantId={operation.tenantId}
          otherTenantId={keptTenantId}
          name={name}
          then={`${keptName} answers at ${name} again, with everything that its users did until it was replaced. What was done at ${name} since is kept as ${keptName}.`}
        />
      ) : (
        current && <Text c="dimmed">The names were changed again since.</Text>
      )}
    </Stack>
  );
}

/** A restored tenant stands beside the old one: puts it in its place. */
export function TakePlace({ operation }: { operation: Operation }) {
  const { sourceTenantId, tenantId, result } = operation;
  const source = useQuery({ ...tenantQuery(sourceTenantId ?? ''), enabled: Boolean(sourceTenantId) }).data;
  const restored = useQuery(tenantQuery(tenantId)).data;
  const isRefused = typeof result.notInPlace === 'string';
  return (
    <Stack gap="xs">
      {isRefused && (
        <Notice tone="late" title="It stands beside the old tenant, not in its place">
          <Text size="sm">{result.notInPlace}</Text>
        </Notice>
      )}
      {source && restored && mayStart('swap', source.state) && mayStart('swap', restored.state) && (
        <Exchange
          label={`Put it in the place of ${source.name}`}
          tenantId={tenantId}
          otherTenantId={source.tenantId}
          name={source.name}
          then={`${restored.name} answers at ${source.name}, as it was restored. The one of today is kept as ${restored.name}, with everything that was done until now.`}
        />
      )}
    </Stack>
  );
}

function Exchange(props: {
  readonly label: string;
  readonly tenantId: string;
  readonly otherTenantId: string;
  /** What people use, to be typed. */
  readonly name: string;
  readonly then: string;
}) {
  const [isAsking, setAsking] = useState(false);
  const { withStepUp } = useStepUp();
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const swap = useMutation({
    mutationFn: () =>
      withStepUp(() =>
        apiFetch<{ operation: Operation }>(`/api/tenants/${encodeURIComponent(props.tenantId)}/swap`, {
          method: 'POST',
          body: { other: props.otherTenantId },
        }),
      ),
    onSuccess: async ({ operation: { operationId } }) => {
      setAsking(false);
      await queryClient.invalidateQueries({ queryKey: ['operations'] });
      await navigate({ to: '/operations/$operationId', params: { operationId } });
    },
  });
  return (
    <Group>
      <Button variant="default" onClick={() => setAsking(true)}>
        {props.label}
      </Button>
      <ConfirmByName
        opened={isAsking}
        onClose={() => setAsking(false)}
        tone="late"
        title={props.label}
        name={props.name}
        confirmLabel="Exchange the names"
        pending={swap.isPending}
        error={swap.error}
        onConfirm={() => swap.mutate()}
      >
        <Text size="sm">{props.then}</Text>
        <Text size="sm" mt="xs">
          Everybody who is signed in to either of them signs in again. Done once more, it is undone.
        </Text>
      </ConfirmByName>
    </Group>
  );
}
