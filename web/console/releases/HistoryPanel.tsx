import { useQuery } from '@tanstack/react-query';
import { type Column, DataTable, ErrorState, LoadingState, Panel, RelativeTime } from '../../design/index.ts';
import { Actor } from '../Actor.tsx';
import type { AuditEvent } from '../api.ts';
import { historyQuery, type Release, type Ring } from './api.ts';
import { ringLabels } from './words.ts';

/** Who did what to the release, and what its gates said; of the audit log. */
export function HistoryPanel({ release }: { release: Release }) {
  const { releaseId, state, ring, isPromoted } = release;
  const history = useQuery(historyQuery(releaseId, `${state} ${ring} ${isPromoted}`));
  return (
    <Panel title="What happened" flush>
      {history.isPending && <LoadingState rows={3} />}
      {history.isError && <ErrorState error={history.error} onRetry={() => void history.refetch()} />}
      {history.data && (
        <DataTable label="What happened" columns={columns} rows={history.data} rowKey={({ eventId }) => eventId} />
      )}
    </Panel>
  );
}

const columns: Column<AuditEvent>[] = [
  { key: 'what', header: 'What', cell: describe },
  { key: 'who', header: 'Who', cell: ({ actor }) => <Actor actor={actor} /> },
  { key: 'at', header: 'When', align: 'right', cell: ({ recordedAt }) => <RelativeTime value={recordedAt} /> },
];

const verbs: Readonly<Record<string, string>> = {
  promote: 'Promoted: the ring was not watched any longer',
  pause: 'Paused',
  resume: 'Resumed',
  return: 'Taken back from everybody',
};

function describe({ name, meaning, details = {} }: AuditEvent): string {
  const ring = ringLabels[String(details.ring) as Ring];
  const reason = String(details.reason ?? '');
  switch (name) {
    case 'release.started':
      return 'Started';
    case 'release.ring_done':
      return `${ring} is done`;
    case 'release.halted':
      return ring ? `Halted in ${ring}: ${reason}` : `Did not pass its rehearsal: ${reason}`;
    case 'release.changed':
      return verbs[String(details.verb)] ?? meaning;
    case 'release.returned':
      return 'Everybody runs again what they ran before';
    case 'release.done':
      return 'It has been through all rings';
    default:
      return meaning;
  }
}
