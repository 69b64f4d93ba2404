import { setTimeout as delay } from 'node:timers/promises';
import { failpoint, formatLsn, type Lsn } from '#src/kernel/index.ts';
import { readControlData } from '../recovery/control-data.ts';
import type { Cluster } from '../server.ts';
import type { FailoverContext } from './failover.ts';
import { findEndOfRecords, newestTimelineOf } from './old-wal.ts';
import { readFollowerPosition, waitUntilReplayed } from './position.ts';
import type { ShippedReport } from './roles.ts';
import { handOverShipped, type ShippedExtent, type ShippedWal, type WalPlace } from './shipped-wal.ts';

/** For each region to answer: when they are all there is, and when they only confirm what was read already. */
const patienceMs = { alone: 30_000, besides: 5_000 };
const replayDeadlineMs = 300_000;
/** A gigabyte. */
const segmentsAtOnce = 64;

/**
 * Lets the standby replay what was shipped and it does not have. Nothing of it ends a failover: what could not be had is in the report. undefined: nothing is
 * shipped. Safe to be killed in and to be called again.
 */
export async function takeShipped(
  context: FailoverContext,
  { isAlone }: { readonly isAlone: boolean },
): Promise<ShippedReport | undefined> {
  const { openShippedWal, log, say } = context;
  if (!openShippedWal) return undefined;
  say('asking the regions for what the standby lacks');
  let wal: ShippedWal | undefined;
  try {
    wal = await openShippedWal({ isAlone });
    return await take(context, wal, isAlone ? patienceMs.alone : patienceMs.besides);
  } catch (error) {
    log.warn('what was shipped cannot be had', { error });
    return { takenBytes: 0, isComplete: false, places: [], problem: wordsOf(error) };
  } finally {
    await wal?.close().catch((error) => log.warn('the reader of what was shipped did not end in order', { error }));
  }
}

async function take(context: FailoverContext, wal: ShippedWal, withinMs: number): Promise<ShippedReport> {
  const { members, roles, handoverDir, controlPassword, log, say } = context;
  const standby = members[roles().failover!.to];
  const before = await settle(context, standby);
  const extent = await wal.describe({ timeline: await timelineOf(standby, before), lsn: before }, { withinMs });
  const { places, end } = extent;
  if (end <= before) return { takenBytes: 0, isComplete: extent.isComplete, places, ...problemOf(extent) };
  say(`fetching ${end - before} bytes of log that the standby lacks`);
  for (let replayed = before; ; ) {
    const { reached, error } = await handOverShipped(wal, extent, {
      from: replayed,
      folder: handoverDir,
      owner: standby.options.osUser,
      maxSegments: segmentsAtOnce,
    });
    await failpoint('clusters.failover.shipped_handed_over');
    if (error) log.warn('what was shipped could be had only in part', { error });
    const wanted = await endOfHandedOver(context, standby, extent, reached, replayed);
    const earlier = replayed;
    ({ replayed } = await waitUntilReplayed(standby.controlTarget(controlPassword), wanted, replayDeadlineMs));
    const isOver = error !== undefined || replayed < wanted || reached.lsn >= end || replayed === earlier;
    if (!isOver) continue;
    const takenBytes = Number(replayed - before);
    if (error === undefined && replayed >= wanted && reached.lsn >= end)
      return { takenBytes, isComplete: extent.isComplete, places, ...problemOf(extent) };
    const problem = error
      ? `from ${formatLsn(reached.lsn)} to ${formatLsn(end)} it could not be read: ${wordsOf(error)}`
      : `the standby replayed it to ${formatLsn(replayed)} only, of ${formatLsn(end)}`;
    return { takenBytes, isComplete: false, places, problem };
  }
}

/** The last whole record: what was shipped last may be the beginning of one, which was never acknowledged. */
function endOfHandedOver(
  { handoverDir }: FailoverContext,
  standby: Cluster,
  { line }: ShippedExtent,
  { timeline, lsn: to }: WalPlace,
  replayed: Lsn,
): Promise<Lsn> {
  const begin = line.find((each) => each.timeline === timeline)?.begin ?? 0n;
  const from = begin > replayed ? begin : replayed;
  return findEndOfRecords(standby.options, { folder: handoverDir, timeline, from, to });
}

/** What the standby has received it replays in a moment; it is not asked for again. Two looks that see the same. */
async function settle({ controlPassword }: FailoverContext, standby: Cluster): Promise<Lsn> {
  const read = async () => (await readFollowerPosition(standby.controlTarget(controlPassword))).replayed;
  for (let seen = await read(), looks = 0; ; looks++) {
    await delay(200);
    const now = await read();
    if (now === seen || looks > 50) return now;
    seen = now;
  }
}

/** On which timeline the standby has come there. */
async function timelineOf({ options }: Cluster, replayed: Lsn): Promise<WalPlace['timeline']> {
  return (
    (await newestTimelineOf(options.dataDir, replayed)) ??
    (await newestTimelineOf(options.dataDir, replayed - 1n)) ??
    (await readControlData(options.dataDir, options)).timeline
  );
}

function problemOf({ isComplete, places, end }: ShippedExtent): { problem?: string } {
  if (isComplete) return {};
  const silent = places.flatMap(({ name, problem }) => (problem ? [`${name}: ${problem}`] : []));
  return { problem: silent.length > 0 ? silent.join('; ') : `there is a hole in it at ${formatLsn(end)}` };
}

/** An error's own words; never those of its cause, which may name what is nobody's business. */
function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
