import { setTimeout as delay } from 'node:timers/promises';
import type { ShippingReport } from '#src/backups/index.ts';
import type { LagSeries, LagView, StandbyHealth } from '#src/console-api/index.ts';
import type { Clock } from '#src/kernel/index.ts';
import type { Shutdown } from './shutdown.ts';

export interface LagSample {
  readonly kind: LagSeries['kind'];
  readonly name: string;
  /** undefined: not known. */
  readonly lagMs: number | undefined;
  readonly behindBytes: number | undefined;
}

export interface LagHistory {
  /** Of this moment. */
  note(samples: readonly LagSample[]): void;
  /** The last `spanMs`, coarser the longer. */
  read(spanMs: number): Pick<LagView, 'from' | 'everyMs'> & { readonly series: readonly LagSeries[] };
}

const keptEveryMs = 10_000;
const keptMs = 24 * 60 * 60_000;
const slots = keptMs / keptEveryMs;
const figuresShown = 240;

interface Ring {
  readonly kind: LagSeries['kind'];
  readonly name: string;
  /** NaN: not known. */
  readonly lagMs: Float64Array;
  readonly behindBytes: Float64Array;
}

/**
 * A day of lag, the worst of every ten seconds. In memory, because a sample that is committed every ten seconds would be shipped for ever on a server where
 * nothing else moves; 140 kB per series.
 */
export function createLagHistory(clock: Clock): LagHistory {
  const rings = new Map<string, Ring>();
  let newest: number | undefined;

  function ringOf({ kind, name }: LagSample): Ring {
    const key = `${kind} ${name}`;
    const ring = rings.get(key) ?? {
      kind,
      name,
      lagMs: new Float64Array(slots).fill(Number.NaN),
      behindBytes: new Float64Array(slots).fill(Number.NaN),
    };
    rings.set(key, ring);
    return ring;
  }

  /** What was not measured, while control was held up, is not known; and neither is what a clock that is set back says of later. */
  function advance(slot: number): void {
    const isSetBack = newest !== undefined && slot < newest;
    const from = newest === undefined || isSetBack ? slot - slots + 1 : Math.max(newest + 1, slot - slots + 1);
    for (const { lagMs, behindBytes } of rings.values())
      for (let at = from; at <= slot; at++) {
        lagMs[at % slots] = Number.NaN;
        behindBytes[at % slots] = Number.NaN;
      }
    newest = slot;
  }

  return {
    note(samples) {
      const slot = Math.floor(clock.now() / keptEveryMs);
      if (slot !== newest) advance(slot);
      for (const sample of samples) {
        const ring = ringOf(sample);
        raise(ring.lagMs, slot % slots, sample.lagMs);
        raise(ring.behindBytes, slot % slots, sample.behindBytes);
      }
    },
    read(spanMs) {
      const perFigure = Math.max(1, Math.ceil(spanMs / keptEveryMs / figuresShown));
      // On multiples of their width, so that a figure does not change while time goes on.
      const end = Math.floor(clock.now() / keptEveryMs / perFigure) + 1;
      const first = Math.max(0, end - Math.ceil(spanMs / keptEveryMs / perFigure));
      const worst = (values: Float64Array): (number | null)[] =>
        Array.from({ length: end - first }, (_, index) => {
          let found = Number.NaN;
          for (let at = (first + index) * perFigure; at < (first + index + 1) * perFigure; at++) {
            const isKept = newest !== undefined && at <= newest && at > newest - slots;
            const value = isKept ? values[at % slots]! : Number.NaN;
            if (!(value <= found) && !Number.isNaN(value)) found = value;
          }
          return Number.isNaN(found) ? null : found;
        });
      return {
        from: new Date(first * perFigure * keptEveryMs).toISOString(),
        everyMs: perFigure * keptEveryMs,
        series: [...rings.values()].sort(standbyFirst).map(({ kind, name, lagMs, behindBytes }) => ({
          kind,
          name,
          lagMs: worst(lagMs),
          behindBytes: worst(behindBytes),
        })),
      };
    },
  };
}

function standbyFirst(one: Ring, other: Ring): number {
  return other.kind.localeCompare(one.kind) || one.name.localeCompare(other.name);
}

function raise(values: Float64Array, index: number, value: number | undefined): void {
  if (value !== undefined && !(values[index]! >= value)) values[index] = value;
}

const lookEveryMs = 1_000;

/** Looks every second, as often as the shipper tells. */
export function keepLagHistory(
  history: LagHistory,
  { standby, shipping }: { standby: () => StandbyHealth | undefined; shipping: () => ShippingReport | undefined },
  shutdown: Shutdown,
): void {
  const stopping = new AbortController();
  const { signal } = stopping;
  const looking = (async () => {
    while (!signal.aborted) {
      history.note(samplesOf(standby(), shipping()));
      await delay(lookEveryMs, undefined, { signal, ref: false }).catch(() => {});
    }
  })();
  shutdown.add('history of lag', 5_000, async () => {
    stopping.abort();
    await looking;
  });
}

function samplesOf(standby: StandbyHealth | undefined, shipping: ShippingReport | undefined): LagSample[] {
  const regions = (shipping?.regions ?? []).map(
    ({ region, lagMs, behindBytes }): LagSample => ({ kind: 'region', name: region, lagMs, behindBytes }),
  );
  if (!standby || standby.state === 'off') return regions;
  return [{ kind: 'standby', name: 'standby', lagMs: standby.lagMs, behindBytes: standby.lagBytes }, ...regions];
}
