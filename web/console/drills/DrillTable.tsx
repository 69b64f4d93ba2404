import { type Column, DataTable, formatDuration, RelativeTime, StateBadge } from '../../design/index.ts';
import type { Drill } from '../backups/api.ts';
import { describeChecked, Findings } from '../backups/findings.tsx';
import { PrivateServer } from '../backups/PrivateServer.tsx';

const duration = (ms: number | undefined) => (ms === undefined ? 'not reached' : formatDuration(ms));

const columns: Column<Drill>[] = [
  {
    key: 'when',
    header: 'Held',
    cell: ({ finishedAt, cluster }) => (
      <>
        <RelativeTime value={finishedAt} />
        {cluster !== 'main' && <PrivateServer name={cluster} />}
      </>
    ),
  },
  {
    key: 'result',
    header: 'Result',
    narrow: 'corner',
    cell: ({ passed }) => <StateBadge tone={passed ? 'ok' : 'urgent'}>{passed ? 'Passed' : 'Failed'}</StateBadge>,
  },
  { key: 'region', header: 'From region', cell: ({ region }) => region },
  { key: 'point', header: 'Recovery point', align: 'right', cell: ({ recoveryPointMs }) => duration(recoveryPointMs) },
  { key: 'time', header: 'Recovery time', align: 'right', cell: ({ recoveryTimeMs }) => duration(recoveryTimeMs) },
  {
    key: 'checked',
    header: 'Compared',
    cell: ({ checked, findings }) => (
      <div>
        {describeChecked(checked)}
        <Findings findings={findings} />
      </div>
    ),
  },
];

/** Newest first. */
export function DrillTable({ drills }: { drills: readonly Drill[] }) {
  return <DataTable label="Drills" columns={columns} rows={drills} rowKey={({ drillId }) => drillId} />;
}
