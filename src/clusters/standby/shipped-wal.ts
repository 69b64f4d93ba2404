import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Lsn, segmentFileName, segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import { replaceFile, syncFolder } from '../files.ts';
import type { OsUser } from '../os-user.ts';

/** A place in the WAL of one line of timelines. */
export interface WalPlace {
  readonly timeline: number;
  readonly lsn: Lsn;
}

/**
 * The WAL of the cluster outside of both servers: what was received and what lies in regions. A port, because backups are built upon clusters. Every call has a
 * deadline of its own, and an error names the place that it is about.
 */
export interface ShippedWal {
  /** How far it leads on from a place. A place that has not answered after `withinMs` is left out. */
  describe(from: WalPlace, options: { readonly withinMs: number }): Promise<ShippedExtent>;
  /** The 16 MiB segment that begins at `start`, zeros behind what is held; undefined: nothing of it is held. */
  openSegment(timeline: number, start: Lsn): Promise<Uint8Array | undefined>;
  /** The timeline history file; undefined: it is not held. */
  openHistory(timeline: number): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

export interface ShippedExtent {
  /** The timeline of the place, then those that branched off after it, each with where it began; the last one holds `end`. */
  readonly line: readonly { readonly timeline: number; readonly begin: Lsn }[];
  /** Exclusive end of what leads on without a hole; the place itself when there is nothing. */
  readonly end: Lsn;
  /**
   * Everything that was ever confirmed to the primary as held by every region lies before `end`: some place answered, and none holds anything behind it. So no
   * commit that waited for the regions is missing.
   */
  readonly isComplete: boolean;
  /** Who was asked, and in words why one gave nothing. */
  readonly places: readonly ShippedPlace[];
}

export interface ShippedPlace {
  readonly name: string;
  readonly problem?: string;
}

/** Timeline of the segment that holds `lsn` on this line. The first segment of a timeline carries its number and its parent's bytes up to the branch. */
function timelineAt(line: ShippedExtent['line'], lsn: Lsn): number {
  return (line.findLast(({ begin }) => segmentStart(begin) <= lsn) ?? line[0]!).timeline;
}

export interface HandOverShippedOptions {
  readonly from: Lsn;
  readonly folder: string;
  readonly owner: OsUser | undefined;
  /** At most so many: a standby that is far behind gets them by and by, so that they need no room of their own. */
  readonly maxSegments: number;
}

/**
 * Writes histories and segments for the server that takes over, in place of what was there; it fetches them by its restore_command. What cannot be had ends it there.
 * @returns the place up to which it was written, and the error that ended it
 */
export async function handOverShipped(
  wal: ShippedWal,
  { line, end }: ShippedExtent,
  { from, folder, owner, maxSegments }: HandOverShippedOptions,
): Promise<{ readonly reached: WalPlace; readonly error?: unknown }> {
  await rm(folder, { recursive: true, force: true });
  // Names of segments are no secret, and pg_waldump wants to list them.
  await mkdir(folder, { mode: 0o755 });
  let reached: WalPlace = { timeline: timelineAt(line, from), lsn: from };
  try {
    for (const { timeline } of line) {
      const history = timeline > 1 ? await wal.openHistory(timeline) : undefined;
      const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
      if (history) await replaceFile(path.join(folder, name), history, owner);
    }
    const behind = segmentStart(from) + BigInt(maxSegments) * walSegmentBytes;
    for (let start = segmentStart(from); start < end && start < behind; start += walSegmentBytes) {
      const timeline = timelineAt(line, start);
      const segment = await wal.openSegment(timeline, start);
      if (!segment) break;
      await replaceFile(path.join(folder, segmentFileName(timeline, start)), segment, owner);
      const next = start + walSegmentBytes;
      reached = { timeline, lsn: next < end ? next : end };
    }
    return { reached };
  } catch (error) {
    return { reached, error };
  } finally {
    await syncFolder(folder);
  }
}
