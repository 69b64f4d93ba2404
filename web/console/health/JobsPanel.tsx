import {
  type Column,
  CopyableId,
  DataTable,
  EmptyState,
  formatDuration,
  Panel,
  RelativeTime,
  StateBadge,
  type Tone,
} from '../../design/index.ts';
import type { Job } from './health.ts';

/** Recurring work: whether it still happens, and when it last went well. */
export function JobsPanel({ jobs }: { jobs: readonly Job[] }) {
  return (
    <Panel title="Jobs" description="Work that recurs by itself. One that has stopped is told above." flush>
      {jobs.length === 0 ? (
        <EmptyState title="No job recurs here" />
      ) : (
        <DataTable label="Jobs" columns={columns} rows={jobs} rowKey={({ name }) => name} />
      )}
    </Panel>
  );
}

const stateWords: Record<Job['state'], { readonly label: string; readonly tone: Tone }> = {
  waiting: { label: 'Not due yet', tone: 'quiet' },
  running: { label: 'Running', tone: 'working' },
  succeeded: { label: 'Well', tone: 'ok' },
  failed: { label: 'Failed', tone: 'late' },
};

const columns: Column<Job>[] = [
  { key: 'name', header: 'Job', cell: ({ name }) => name.charAt(0).toUpperCase() + name.slice(1) },
  {
    key: 'state',
    header: 'State',
    narrow: 'corner',
    cell: ({ state, isOverdue }) => {
      const { label, tone } = stateWords[state];
      return <StateBadge tone={isOverdue ? 'urgent' : tone}>{isOverdue ? 'Overdue' : label}</StateBadge>;
    },
  },
  {
    key: 'succeeded',
    header: 'Last success',
    cell: ({ succeededAt }) => <RelativeTime value={succeededAt} never="none yet" />,
  },
  { key: 'every', header: 'Every', cell: ({ everyMs }) => describeEvery(everyMs) },
  {
    key: 'error',
    header: 'Last failure',
    cell: ({ error }) =>
      error ? (
        <>
          <RelativeTime value={error.at} />: {error.text} <CopyableId value={error.code} what="code" />
        </>
      ) : (
        'none'
      ),
  },
];

const dayMs = 86_400_000;

function describeEvery(everyMs: number): string {
  if (everyMs === dayMs) return 'day';
  if (everyMs === 7 * dayMs) return 'week';
  if (everyMs % dayMs === 0) return `${everyMs / dayMs} days`;
  return formatDuration(everyMs).replace(/ 0 (min|s)$/, '');
}
