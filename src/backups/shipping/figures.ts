import type { ShipperStatus } from '../types.ts';

/** Upper bounds in milliseconds; the last bucket has none. */
export const lagBucketsMs = [25, 50, 100, 150, 200, 300, 500, 750, 1_000, 2_000, 5_000, 15_000, 60_000] as const;

/** How long chunks took from their first byte until a region had them. */
export interface LagHistogram {
  add(lagMs: number): void;
  /** Count per bucket, one more than `lagBucketsMs`; not cumulative. */
  counts(): readonly number[];
  sumMs(): number;
}

export function createLagHistogram(): LagHistogram {
  const counts: number[] = new Array(lagBucketsMs.length + 1).fill(0);
  let sumMs = 0;
  return {
    add(lagMs) {
      const index = lagBucketsMs.findIndex((bound) => lagMs <= bound);
      counts[index < 0 ? lagBucketsMs.length : index]!++;
      sumMs += Math.max(0, lagMs);
    },
    counts: () => counts,
    sumMs: () => sumMs,
  };
}

export interface Figure {
  /** As in Prometheus, base units (bytes, seconds). */
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The figures of a shipper for the metrics page. */
export function shippingFigures(status: ShipperStatus): Figure[] {
  const cluster = status.clusterId;
  const gauge = (name: string, help: string, value: number, labels: Record<string, string> = {}): Figure => ({
    name: `freehold_wal_${name}`,
    help,
    type: 'gauge',
    labels: { cluster, ...labels },
    value,
  });
  const counter = (name: string, help: string, value: number, labels: Record<string, string> = {}): Figure => ({
    ...gauge(name, help, value, labels),
    type: 'counter',
  });
  const figures = [
    gauge('timeline', 'Timeline that is received', status.timeline),
    gauge('receiver_streaming', '1 while WAL is received', status.receiver.state === 'streaming' ? 1 : 0),
    gauge('primary_lsn', 'End of the WAL of the primary, as last heard', Number(status.primary)),
    gauge('received_lsn', 'End of the WAL received', Number(status.received)),
    gauge('spooled_lsn', 'End of the WAL in the spool', Number(status.spooled)),
    gauge('spool_bytes', 'Sealed bytes in the spool', status.spoolBytes),
    counter('gaps_total', 'Gaps in the WAL since the start of the shipper', status.gaps.length),
    gauge('slot_behind_bytes', 'WAL that the slot keeps on the primary', status.slot.heldBytes),
  ];
  for (const region of status.regions) {
    const labels = { region: region.region };
    figures.push(
      gauge('shipped_lsn', 'End of the WAL in the region', Number(region.shipped), labels),
      gauge('lag_seconds', 'Age of the oldest byte that the region lacks', region.lagMs / 1_000, labels),
      gauge('owed_bytes', 'WAL that the region is owed by other regions', region.owedBytes, labels),
      counter('copied_bytes_total', 'Sealed bytes copied from other regions', region.copiedBytes, labels),
      gauge('region_away', '1 when the region is no longer waited for', region.state === 'away' ? 1 : 0, labels),
    );
    let total = 0;
    region.lagCounts.forEach((count, index) => {
      total += count;
      const bound = lagBucketsMs[index];
      const le = bound === undefined ? '+Inf' : String(bound / 1_000);
      figures.push(counter('shipping_seconds_bucket', 'Receipt of a byte to region', total, { ...labels, le }));
    });
    figures.push(
      counter('shipping_seconds_count', 'Receipt of a byte to region', total, labels),
      counter('shipping_seconds_sum', 'Receipt of a byte to region', region.lagSumMs / 1_000, labels),
    );
  }
  return figures;
}
