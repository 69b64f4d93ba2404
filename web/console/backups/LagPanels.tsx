import { SegmentedControl, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import {
  ErrorState,
  formatBytes,
  formatDuration,
  formatPlural,
  LoadingState,
  Panel,
  TimeChart,
} from '../../design/index.ts';
import { type Lag, type LagSeries, lagQuery, type Span, spans } from './api.ts';

/** In both regions within a second is the promise; a standby has none, but is to be as near. */
const goalMs = 1_000;
const leastShownMs = 600_000;

/** Per cluster: how far the standby and each region were behind, over time. */
export function LagPanels() {
  const { span = 60 } = useSearch({ strict: false }) as { span?: Span };
  const navigate = useNavigate();
  const query = useQuery({ ...lagQuery(span), refetchInterval: span === 60 ? 5_000 : 30_000 });
  const choice = (
    <SegmentedControl
      size="xs"
      aria-label="Time shown"
      data={spans.map((minutes) => ({ value: String(minutes), label: formatPlural(minutes / 60, 'hour') }))}
      value={String(span)}
      onChange={(value) => void navigate({ to: '/backups', search: { span: Number(value) }, replace: true })}
    />
  );
  if (query.isPending)
    return (
      <Panel title="Lag">
        <LoadingState rows={4} />
      </Panel>
    );
  if (query.isError && !query.data) return <ErrorState error={query.error} onRetry={() => void query.refetch()} />;
  return query.data?.clusters.map((cluster) => (
    <Panel
      key={cluster.name}
      title={`Lag of the cluster ${cluster.name}`}
      description="Age of the oldest change that a copy lacked: the worst of each stretch. Kept for a day, since control was started."
      action={choice}
    >
      {cluster.series.length === 0 ? (
        <Text c="dimmed">Nothing has been measured yet. The first figures come within seconds.</Text>
      ) : (
        <Stack gap="md">
          {cluster.series.map((series) => (
            <Chart key={`${series.kind} ${series.name}`} series={series} lag={query.data} all={cluster.series} />
          ))}
        </Stack>
      )}
    </Panel>
  ));
}

/** Without the time before control was started: all there is fills the chart, at least ten minutes of it. */
function Chart({ series, lag, all }: { series: LagSeries; lag: Lag; all: readonly LagSeries[] }) {
  const firstKnown = Math.min(
    ...all.map(({ lagMs }) => lagMs.findIndex((value) => value !== null)).filter((at) => at >= 0),
  );
  const skipped = Math.min(firstKnown, Math.max(0, series.lagMs.length - leastShownMs / lag.everyMs));
  const from = Date.parse(lag.from) + skipped * lag.everyMs;
  const points = series.lagMs.slice(skipped).map((value, index) => ({ at: from + index * lag.everyMs, value }));
  return (
    <TimeChart
      kind="area"
      label={series.kind === 'standby' ? 'Standby' : `Region ${series.name}`}
      summary={summarise(series)}
      points={points}
      from={from}
      to={from + points.length * lag.everyMs}
      goal={goalMs}
      highest={Math.max(0, ...all.flatMap(({ lagMs }) => lagMs.filter((value) => value !== null)))}
      height={72}
    />
  );
}

function summarise({ lagMs, behindBytes }: LagSeries): string {
  const known = lagMs.filter((value) => value !== null);
  if (known.length === 0) return 'not known';
  const now = lagMs.at(-1) ?? lagMs.at(-2);
  const bytes = behindBytes.at(-1) ?? behindBytes.at(-2);
  const current =
    now === null || now === undefined
      ? 'not known now'
      : `now ${formatDuration(now)}${bytes ? `, ${formatBytes(bytes)}` : ''}`;
  return `${current} · worst ${formatDuration(Math.max(...known))}`;
}
