import { Button, Group, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { formatExact, Notice, notifyDone, Panel, ProblemNotice } from '../../design/index.ts';
import { confirmMove, editionLabels, startMove, type Tenant } from '../api.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';

/** After a move, until it is confirmed: how long there is a way back, and the two ways on. Nothing otherwise. */
export function TenantMove({ tenant, onStarted }: { tenant: Tenant; onStarted: (operationId: string) => void }) {
  const queryClient = useQueryClient();
  const { withStepUp } = useStepUp();
  const back = useMutation({
    mutationFn: () => withStepUp(() => startMove(tenant.tenantId, { undo: true })),
    onSuccess: ({ operation }) => onStarted(operation.operationId),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['tenant'] }),
  });
  const confirm = useMutation({
    mutationFn: () => withStepUp(() => confirmMove(tenant.tenantId)),
    onSuccess: () => notifyDone(`The move of ${tenant.name} is final.`),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['tenant'] }),
  });
  const { lastMove } = tenant;
  if (!lastMove || (tenant.state !== 'active' && tenant.state !== 'suspended')) return null;
  const isBusy = back.isPending || confirm.isPending;
  return (
    <Panel
      title={`Moved from ${editionLabels[lastMove.from]}`}
      description={`The database that it left is kept until ${formatExact(new Date(lastMove.keptUntil))}.`}
      action={
        <Group gap="xs">
          <Button variant="default" disabled={isBusy} loading={back.isPending} onClick={() => back.mutate()}>
            Move back
          </Button>
          <Button variant="default" disabled={isBusy} loading={confirm.isPending} onClick={() => confirm.mutate()}>
            Confirm move
          </Button>
        </Group>
      }
    >
      <Text size="sm">
        Moving back takes along what was written since; its users wait for some seconds. Confirming removes the database
        that it left. Earlier moments stay restorable either way.
      </Text>
      <ProblemNotice error={back.error ?? confirm.error} />
    </Panel>
  );
}

/** What is said before a move. */
export function MoveText({ tenant }: { tenant: Tenant }) {
  return (
    <>
      <Text>
        {tenant.edition === 'standard'
          ? `${tenant.title} gets a PostgreSQL server and a standby of its own, with backups under a key of its own.`
          : `${tenant.title} goes back to the shared PostgreSQL server.`}{' '}
        Nobody is signed out, and nothing is lost. There is a way back for seven days.
      </Text>
      <Notice tone="late">
        Its users wait while its database is copied: some seconds, and about a minute per gigabyte.
      </Notice>
    </>
  );
}
