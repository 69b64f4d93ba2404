import { useNavigate } from '@tanstack/react-router';
import { type Column, DataTable, formatDuration, RelativeTime, StateBadge, TextLink } from '../../design/index.ts';
import { Actor } from '../Actor.tsx';
import type { Operation } from '../api.ts';
import { kindWords, operationStateWords } from '../words.ts';

/** Operations, newest first; each row leads to its steps. */
export function OperationTable({ operations, withTenant }: { operations: readonly Operation[]; withTenant: boolean }) {
  const navigate = useNavigate();
  const columns: Column<Operation>[] = [
    {
      key: 'kind',
      header: 'Operation',
      cell: (operation) => (
        <TextLink to="/operations/$operationId" params={{ operationId: operation.operationId }} fw={500}>
          {kindWords[operation.kind].label}
        </TextLink>
      ),
    },
    ...(withTenant
      ? [{ key: 'tenant', header: 'Tenant', cell: (operation: Operation) => operation.tenantName } as const]
      : []),
    {
      key: 'state',
      header: 'State',
      narrow: 'corner',
      cell: (operation) => {
        const { tone, label } = operationStateWords[operation.state];
        return <StateBadge tone={tone}>{label}</StateBadge>;
      },
    },
    { key: 'by', header: 'Asked for by', cell: (operation) => <Actor actor={operation.requestedBy} /> },
    { key: 'started', header: 'Started', cell: (operation) => <RelativeTime value={operation.startedAt} /> },
    {
      key: 'took',
      header: 'Took',
      align: 'right',
      cell: (operation) =>
        operation.finishedAt
          ? formatDuration(new Date(operation.finishedAt).getTime() - new Date(operation.startedAt).getTime())
          : '',
    },
  ];
  return (
    <DataTable
      label="Operations"
      columns={columns}
      rows={operations}
      rowKey={(operation) => operation.operationId}
      onOpen={({ operationId }) => void navigate({ to: '/operations/$operationId', params: { operationId } })}
    />
  );
}
