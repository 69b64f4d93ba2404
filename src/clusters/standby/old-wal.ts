import { constants } from 'node:fs';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { formatLsn, type Lsn, parseLsn, segmentFileName, segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import { openOwnFile, syncFolder } from '../files.ts';
import type { OsUser } from '../os-user.ts';
import { runProgram } from '../run.ts';
import type { ClusterOptions } from '../server.ts';

/**
 * Where the WAL of a stopped server ends: the last record that is whole, exclusive. That is all that the server can have acknowledged.
 * @param from end of a record that this server wrote, for example what its standby has replayed
 * @returns undefined when its WAL from there on cannot be read, all of it
 */
export async function findEndOfWal(options: ClusterOptions, from: Lsn): Promise<Lsn | undefined> {
  const timeline = await newestTimelineOf(options.dataDir, from);
  if (timeline === undefined) return undefined;
  const folder = path.join(options.dataDir, 'pg_wal');
  const to = await endOfSegments(folder, timeline, from);
  const end = await findEndOfRecords(options, { folder, timeline, from, to });
  // To pg_waldump a file that it cannot read is the end of the log, so each is looked at: up to the one into which the next record would lead.
  for (let at = segmentStart(from); at <= segmentStart(end) + walSegmentBytes; at += walSegmentBytes)
    if (!(await isSound(path.join(folder, segmentFileName(timeline, at)), options.osUser, at > segmentStart(from))))
      return undefined;
  return end;
}

export interface RecordsOptions {
  readonly folder: string;
  readonly timeline: number;
  /** End of a record. */
  readonly from: Lsn;
  /** Exclusive; all segments up to there are in the folder. To pg_waldump a missing one is a failure, of which it says nothing more. */
  readonly to: Lsn;
}

/** End of the last whole record between two places in a folder of segments of one timeline; `from` when there is none. */
export async function findEndOfRecords(
  { binaries, osUser }: Pick<ClusterOptions, 'binaries' | 'osUser'>,
  { folder, timeline, from, to }: RecordsOptions,
): Promise<Lsn> {
  if (to <= from) return from;
  // The range is in the heading of the statistics; the exit code is always that of a log that ends.
  const args = ['--stats', `--timeline=${timeline}`, `--path=${folder}`];
  args.push(`--start=${formatLsn(from)}`, `--end=${formatLsn(to)}`);
  const { stdout } = await runProgram(path.join(binaries.binDir, 'pg_waldump'), args, { osUser, cwd: '/' });
  const end = /^WAL statistics between \S+ and ([0-9A-F]+\/[0-9A-F]+):$/m.exec(stdout)?.[1];
  // No heading: there is no record after `from`.
  return end === undefined ? from : parseLsn(end);
}

/** End of the last segment that follows the one of `from` without one missing between. */
async function endOfSegments(folder: string, timeline: number, from: Lsn): Promise<Lsn> {
  const names = new Set(await readdir(folder));
  let end = segmentStart(from);
  while (names.has(segmentFileName(timeline, end))) end += walSegmentBytes;
  return end;
}

/** The whole segment can be read by its server. */
async function isSound(file: string, owner: OsUser | undefined, mayBeMissing: boolean): Promise<boolean> {
  try {
    const handle = await openOwnFile(file, constants.O_RDONLY, owner);
    try {
      const { mode, size } = await handle.stat();
      if (size !== Number(walSegmentBytes) || (mode & constants.S_IRUSR) === 0) return false;
      for await (const _ of handle.createReadStream({ autoClose: false, highWaterMark: 2 ** 20 }));
      return true;
    } finally {
      await handle.close();
    }
  } catch (error) {
    return mayBeMissing && (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Timeline of the newest segment that holds `at`; undefined: there is none. */
export async function newestTimelineOf(dataDir: string, at: Lsn): Promise<number | undefined> {
  const segment = segmentFileName(0, at).slice(8);
  const names = await readdir(path.join(dataDir, 'pg_wal')).catch(() => []);
  const timelines = names
    .filter((name) => name.slice(8) === segment)
    .map((name) => Number.parseInt(name.slice(0, 8), 16));
  return timelines.length > 0 ? Math.max(...timelines) : undefined;
}

/** Copies the segments from `from` to `to` for the server that takes over, which fetches them by its restore_command. */
export async function handOverWal(
  old: ClusterOptions,
  { from, to, folder, owner }: { from: Lsn; to: Lsn; folder: string; owner: OsUser | undefined },
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o711 });
  const timeline = await newestTimelineOf(old.dataDir, from);
  for (let at = segmentStart(from); timeline !== undefined && at < to; at += walSegmentBytes) {
    const name = segmentFileName(timeline, at);
    const source = await openOwnFile(path.join(old.dataDir, 'pg_wal', name), constants.O_RDONLY, old.osUser);
    try {
      const copy = await open(path.join(folder, name), 'wx', 0o600);
      try {
        if (owner) await copy.chown(owner.uid, owner.gid);
        await copy.writeFile(source.createReadStream({ autoClose: false }));
        await copy.sync();
      } finally {
        await copy.close();
      }
    } finally {
      await source.close();
    }
  }
  await syncFolder(folder);
}
