import { access, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { failpoint, formatLsn, type Log, type Lsn, waitFor } from '#src/kernel/index.ts';
import { type ConnectionTarget, openConnection } from '#src/postgres/index.ts';
import type { Binaries } from '../binaries.ts';
import { replaceFile } from '../files.ts';
import { readControlData } from './control-data.ts';
import { recoveryErrors } from './errors.ts';
import { port, type ScratchFolder } from './scratch-folder.ts';
import { isReady, type ScratchProcess, spawnScratchProcess } from './scratch-process.ts';
import { recoverySettings } from './settings.ts';
import { describeTarget, isReached, parseTimelineHistory, type RecoveryTarget, targetSettings } from './target.ts';
import { openWalFeed, type WalFeed } from './wal-feed.ts';
import type { WalSource } from './wal-source.ts';

export interface RecoveryOptions {
  /** Its `dataDir` holds a restored base backup with `backup_label`; directories of databases that were left out are there and empty. */
  readonly folder: ScratchFolder;
  readonly binaries: Binaries;
  readonly walSource: WalSource;
  readonly target: RecoveryTarget;
  /** The timeline that holds the target. */
  readonly timeline: number;
  /** As recorded with the backup; another one is another cluster. */
  readonly systemIdentifier: string;
  readonly log: Log;
  /** The data folder is to be used afterwards: written durably. Default: false, it is thrown away. */
  readonly durable?: boolean;
  /** For the whole of recovery. Default: six hours. */
  readonly deadlineMs?: number;
  /** Default 64. */
  readonly sharedBuffersMiB?: number;
  readonly signal?: AbortSignal;
  /** A segment was handed to PostgreSQL. */
  readonly onSegment?: (timeline: number, start: Lsn) => void;
}

export interface RecoveredServer {
  /** First byte of the new timeline: everything before it was replayed, nothing after. */
  readonly lsn: Lsn;
  readonly newTimeline: number;
  /** In PostgreSQL's words. */
  readonly reason: string;
  /** Of the last transaction that was replayed; undefined: there was none since the base backup. */
  readonly lastCommitAt: Date | undefined;
  /** Any role may enter any database: the socket's folder keeps everybody else out. */
  connectionTarget(database: string, user: string): ConnectionTarget;
  /** Clean shutdown. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Replays WAL on a restored data folder up to the target and opens it for reading and writing, on a timeline of its own. Succeeds only
 * when PostgreSQL has left recovery, for the reason that was asked for, and answers; a start that PostgreSQL takes back (facts F09), an
 * early end (F02, F03, F10), WAL that cannot be read (F05) and a missing history (F06) are errors that name what is missing.
 * Whether the right rows are there, the caller checks. Ends the server before it throws; the folder is the caller's.
 */
export async function startRecovery(options: RecoveryOptions): Promise<RecoveredServer> {
  const { folder, binaries, target, timeline, log, signal } = options;
  const { dataDir, home, osUser } = folder;
  targetSettings(target);
  const control = await checkDataFolder(options);
  await cleanDataFolder(dataDir);
  const feed = await openWalFeed({
    home,
    source: options.walSource,
    systemIdentifier: control.systemIdentifier,
    osUser,
    log,
    onSegment: options.onSegment,
  });
  let server: ScratchProcess | undefined;
  const stop = async () => {
    // First the server, which may be waiting for an answer.
    await server?.stop();
    await feed.close();
  };
  try {
    const configFile = path.join(home, 'recovery.conf');
    const [hbaFile, identFile] = [path.join(home, 'hba.conf'), path.join(home, 'ident.conf')];
    await replaceFile(hbaFile, 'local all all trust\n', osUser);
    await replaceFile(identFile, '', osUser);
    const { socketDir } = folder;
    const { restoreCommand } = feed;
    const { durable = false, sharedBuffersMiB = 64 } = options;
    const { maxPreparedTransactions } = control;
    const settings = { socketDir, port, hbaFile, identFile, restoreCommand, target, timeline, durable };
    await replaceFile(configFile, recoverySettings({ ...settings, sharedBuffersMiB, maxPreparedTransactions }), osUser);
    await replaceFile(path.join(dataDir, 'postgresql.auto.conf'), '', osUser);
    await replaceFile(path.join(dataDir, 'recovery.signal'), '', osUser);
    await failpoint('clusters.recovery.prepared');
    server = await spawnScratchProcess(folder, binaries, configFile);
    await failpoint('clusters.recovery.started');
    await waitUntilReady(options, server, feed);
    const result = await judge(options, server, feed);
    await failpoint('clusters.recovery.reached');
    log.info('recovered', { target: describeTarget(target), lsn: formatLsn(result.lsn), reason: result.reason });
    const connectionTarget = (database: string, user: string) => ({
      host: socketDir,
      port,
      database,
      user,
      password: '',
    });
    return { ...result, connectionTarget, stop };
  } catch (error) {
    await stop();
    signal?.throwIfAborted();
    throw error;
  }
}

async function checkDataFolder({ folder, binaries, systemIdentifier }: RecoveryOptions) {
  const unfit = (detail: string) => recoveryErrors.FH_RECOVERY_UNFIT({ detail });
  const { dataDir, osUser } = folder;
  const major = Number.parseInt(await readFile(path.join(dataDir, 'PG_VERSION'), 'utf8').catch(() => ''), 10);
  if (major !== binaries.major)
    throw unfit(`it is of PostgreSQL ${major || 'nothing'}, the programs are of ${binaries.version}`);
  const control = await readControlData(dataDir, { binaries, osUser });
  if (control.systemIdentifier !== systemIdentifier) throw unfit(`it is of the system ${control.systemIdentifier}`);
  // Without them a page that was never restored can be wanted by a record that brings no full image (facts E1, E2).
  if (!control.dataChecksums) throw unfit('its pages have no checksums');
  // Without it PostgreSQL would begin at the newest checkpoint, in the middle of the backup (facts F23).
  await access(path.join(dataDir, 'backup_label')).catch(() => {
    throw unfit('backup_label is missing');
  });
  if ((await readdir(path.join(dataDir, 'pg_tblspc'))).length > 0) throw unfit('it has tablespaces');
  return control;
}

/** Of the source's own life; what comes from it would be obeyed. */
async function cleanDataFolder(dataDir: string): Promise<void> {
  for (const name of ['standby.signal', 'postmaster.pid', 'postmaster.opts', 'tablespace_map', 'backup_manifest']) {
    await rm(path.join(dataDir, name), { force: true });
  }
  // WAL comes from the source that was checked, and from nowhere else.
  for (const folder of ['pg_wal', 'pg_wal/archive_status', 'pg_replslot']) {
    for (const name of await readdir(path.join(dataDir, folder)).catch(() => [])) {
      if (name !== 'archive_status') await rm(path.join(dataDir, folder, name), { recursive: true });
    }
  }
}

/** With hot_standby off, PostgreSQL says `ready` only when recovery is over. */
async function waitUntilReady(options: RecoveryOptions, server: ScratchProcess, feed: WalFeed): Promise<void> {
  const { deadlineMs = 6 * 60 * 60 * 1_000, signal } = options;
  await waitFor(
    'recovery to end',
    async () => {
      signal?.throwIfAborted();
      if (server.hasEnded()) throw explain(options, server, feed);
      return isReady(options.folder, server);
    },
    { deadlineMs, everyMs: 20 },
  );
}

/** Why the server ended. What we refused to hand over comes first: PostgreSQL only says that a command failed. */
function explain({ target }: RecoveryOptions, server: ScratchProcess, feed: WalFeed): unknown {
  if (feed.failure()) return feed.failure();
  const cause = new Error(server.lines.join('\n'));
  const [last] = server.lines.filter((line) => /(FATAL|PANIC): /.test(line)).slice(-1);
  const wanted = describeTarget(target);
  // A record that PostgreSQL finds broken ends the WAL for it; with more WAL behind it, it is damage and not an end.
  const broken = server.lines.map((line) =>
    /(?:record|length|magic|prev-link|page).* at ([0-9A-F]+\/[0-9A-F]+)/.exec(line),
  );
  const place = broken.filter((match) => match !== null).at(-1)?.[1];
  const missing = feed.missing();
  if (/FATAL: +recovery ended before configured recovery target was reached/.test(last ?? '')) {
    const at = place ? `, nothing can be read from ${place} on` : '';
    const detail = missing ? `${missing} is missing; ${wanted}` : `it ends in ${feed.lastSegment()}${at}; ${wanted}`;
    return recoveryErrors.FH_RECOVERY_TARGET_NOT_REACHED({ detail, cause });
  }
  const text = last?.replace(/^.*?(FATAL|PANIC): +/, '') ?? 'the server ended without a word';
  return recoveryErrors.FH_RECOVERY_FAILED({ detail: text, cause });
}

/** Three witnesses: the history file that PostgreSQL wrote when it left the timeline, its own word, and no complaint of ours. */
async function judge({ folder, target, timeline }: RecoveryOptions, server: ScratchProcess, feed: WalFeed) {
  const newTimeline = (await readdir(path.join(folder.dataDir, 'pg_wal')))
    .map((name) => /^([0-9A-F]{8})\.history$/.exec(name)?.[1])
    .reduce((newest, name) => Math.max(newest, name ? Number.parseInt(name, 16) : 0), 0);
  const name = `${newTimeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
  const history = await readFile(path.join(folder.dataDir, 'pg_wal', name), 'utf8').catch(() => '');
  const left = parseTimelineHistory(history).at(-1);
  const connection = await openConnection(
    { host: folder.socketDir, port, database: 'template1', user: 'postgres', password: '' },
    { applicationName: 'freehold restore' },
  );
  try {
    const [row] = await connection.query<{ recovering: boolean; last_commit_at: Date | null }>(
      'SELECT pg_is_in_recovery() AS recovering, pg_last_xact_replay_timestamp() AS last_commit_at',
    );
    if (feed.failure()) throw feed.failure();
    if (
      !left ||
      left.parent !== timeline ||
      row!.recovering ||
      !isReached(target, left, row!.last_commit_at ?? undefined)
    ) {
      const where = left
        ? `it ended at ${formatLsn(left.lsn)} of timeline ${left.parent}, ${left.reason}`
        : 'it did not end';
      throw recoveryErrors.FH_RECOVERY_TARGET_NOT_REACHED({ detail: `${where}; ${describeTarget(target)}` });
    }
    if (server.hasEnded()) throw explain({ target } as RecoveryOptions, server, feed);
    return { lsn: left.lsn, newTimeline, reason: left.reason, lastCommitAt: row!.last_commit_at ?? undefined };
  } finally {
    await connection.close();
  }
}
