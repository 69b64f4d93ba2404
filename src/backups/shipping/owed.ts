import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { failpoint, formatLsn, parseLsn } from '#src/kernel/index.ts';
import { shippingErrors } from './errors.ts';
import { owedFile, syncFolder } from './spool.ts';
import { comparePositions, type WalPosition } from './timeline.ts';
import type { WalRange } from './wal-objects.ts';

/** WAL that one region lacks and the spool no longer holds: another region does, from which it is copied. */
export interface OwedStretch extends WalRange {
  /** Wall clock at which its first byte was received. */
  readonly receivedAtMs: number;
}

/** What regions are owed by other regions. Invariant: what left the spool without having reached a region is written down here, on disk, before. */
export interface OwedWal {
  /** Oldest first; none begins where another ends. */
  of(region: string): readonly OwedStretch[];
  bytesOf(region: string): number;
  /** On disk when it resolves. */
  add(region: string, stretches: readonly OwedStretch[]): Promise<void>;
  /** The region has everything that it is owed before this place. On disk when it resolves. */
  settle(region: string, before: WalPosition): Promise<void>;
}

interface StoredStretch {
  readonly timeline: number;
  readonly start: string;
  readonly end: string;
  readonly receivedAtMs: number;
}

/** Reads what an earlier process wrote down in the folder of the spool. Throws FH_WAL_SPOOL_DAMAGED when that cannot be understood. */
export async function openOwed(folder: string): Promise<OwedWal> {
  const file = path.join(folder, owedFile);
  const owed = await load(file);
  let writing = Promise.resolve();

  const of = (region: string): readonly OwedStretch[] => owed.get(region) ?? [];

  /** One write at a time, each of all that is known by then. */
  function save(): Promise<void> {
    writing = writing.catch(() => {}).then(() => write(folder, JSON.stringify(toStored(owed))));
    return writing;
  }

  return {
    of,
    bytesOf: (region) => of(region).reduce((sum, { start, end }) => sum + Number(end - start), 0),
    async add(region, stretches) {
      owed.set(region, joinStretches([...of(region), ...stretches]));
      await save();
      await failpoint('shipping.owed.recorded');
    },
    async settle(region, before) {
      owed.set(region, settleStretches(of(region), before));
      await save();
      await failpoint('shipping.owed.settled');
    },
  };
}

/** In order, and what touches or overlaps is one. */
export function joinStretches(stretches: readonly OwedStretch[]): OwedStretch[] {
  const sorted = stretches.toSorted((a, b) => comparePositions(startOf(a), startOf(b)));
  const joined: OwedStretch[] = [];
  for (const stretch of sorted) {
    const last = joined.at(-1);
    if (!last || last.timeline !== stretch.timeline || stretch.start > last.end) joined.push(stretch);
    else {
      const end = stretch.end > last.end ? stretch.end : last.end;
      joined.splice(-1, 1, { ...last, end, receivedAtMs: Math.min(last.receivedAtMs, stretch.receivedAtMs) });
    }
  }
  return joined;
}

/** What is left of them behind a place. */
export function settleStretches(stretches: readonly OwedStretch[], before: WalPosition): OwedStretch[] {
  return stretches.flatMap((stretch) => {
    if (comparePositions({ timeline: stretch.timeline, lsn: stretch.end }, before) <= 0) return [];
    const isInside = stretch.timeline === before.timeline && before.lsn > stretch.start;
    return [isInside ? { ...stretch, start: before.lsn } : stretch];
  });
}

export function startOf({ timeline, start }: WalRange): WalPosition {
  return { timeline, lsn: start };
}

function toStored(owed: ReadonlyMap<string, readonly OwedStretch[]>): Record<string, StoredStretch[]> {
  const regions = [...owed].filter(([, stretches]) => stretches.length > 0);
  return Object.fromEntries(
    regions.map(([region, stretches]) => [
      region,
      stretches.map(({ timeline, start, end, receivedAtMs }) => ({
        timeline,
        start: formatLsn(start),
        end: formatLsn(end),
        receivedAtMs,
      })),
    ]),
  );
}

async function load(file: string): Promise<Map<string, readonly OwedStretch[]>> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  try {
    const stored = Object.entries(JSON.parse(text) as Record<string, StoredStretch[]>);
    return new Map(
      stored.map(([region, stretches]) => [
        region,
        stretches.map(({ timeline, start, end, receivedAtMs }) => {
          if (!Number.isSafeInteger(timeline) || !Number.isFinite(receivedAtMs)) throw new TypeError('not a stretch');
          return { timeline, start: parseLsn(start), end: parseLsn(end), receivedAtMs };
        }),
      ]),
    );
  } catch (error) {
    throw shippingErrors.FH_WAL_SPOOL_DAMAGED({ detail: owedFile, cause: error });
  }
}

/** The old content or the new one, never a part. */
async function write(folder: string, text: string): Promise<void> {
  const file = path.join(folder, owedFile);
  const handle = await open(`${file}.tmp`, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await failpoint('shipping.owed.written');
  await rename(`${file}.tmp`, file);
  await syncFolder(folder);
}
