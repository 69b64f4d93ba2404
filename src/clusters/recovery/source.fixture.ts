/** For tests: a server of their own whose WAL is archived into a folder, plain base backups of it, and a `WalSource` over the folder. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { chown, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Lsn, parseLsn, segmentFileName, silentLog, waitFor } from '#src/kernel/index.ts';
import { type Connection, openConnection } from '#src/postgres/index.ts';
import { type Binaries, findBinaries } from '../binaries.ts';
import { findOsUser, type OsUser } from '../os-user.ts';
import { runProgram } from '../run.ts';
import { type RecoveredServer, type RecoveryOptions, startRecovery } from './recovery.ts';
import { createScratchFolder, type ScratchFolder } from './scratch-folder.ts';
import type { RecoveryTarget } from './target.ts';
import type { WalSource } from './wal-source.ts';

export interface SourceServer {
  readonly folder: string;
  readonly archive: string;
  readonly binaries: Binaries;
  readonly osUser: OsUser | undefined;
  /** As superuser. */
  connect(database?: string): Promise<Connection>;
  /** Runs statements one by one. @returns the rows of the last */
  sql(database: string, ...statements: string[]): Promise<Record<string, unknown>[]>;
  lsn(): Promise<Lsn>;
  /** Ends the current segment and waits until it is in the archive. @returns name of that segment */
  archiveNow(): Promise<string>;
  /** `pg_basebackup --wal-method=none`, unpacked into the scratch folder; files of these databases are left out. */
  restoreBase(scratch: ScratchFolder, options?: { without?: readonly number[] }): Promise<void>;
  takeBase(): Promise<void>;
  systemIdentifier(): Promise<string>;
  newScratch(): Promise<ScratchFolder>;
  /** Parent of the scratch folders. */
  readonly scratchParent: string;
  stop(): Promise<void>;
}

const port = 5432;

export async function startSourceServer({ checksums = true } = {}): Promise<SourceServer> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'freehold-recovery-')));
  const binaries = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
  const osUser =
    process.getuid?.() === 0
      ? ((await findOsUser('freehold-postgres')) ?? (await findOsUser('postgres')) ?? (await findOsUser('nobody')))
      : undefined;
  const [dataDir, archive, base, scratch] = ['data', 'archive', 'base', 'scratch'].map((name) =>
    path.join(folder, name),
  );
  for (const name of [folder, archive!, scratch!]) {
    await mkdir(name, { recursive: true });
    if (osUser) await chown(name, osUser.uid, osUser.gid);
  }
  const program = async (name: string, args: readonly string[]) => {
    const result = await runProgram(path.join(binaries.binDir, name), args, { osUser, cwd: folder });
    if (result.exitCode !== 0) throw new Error(`${name}: ${result.stderr}`);
    return result.stdout;
  };
  const initdb = ['-D', dataDir!, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'];
  // From 18 on checksums are what initdb makes unless it is told otherwise; before, the option to tell it is not known.
  const pages = checksums ? ['--data-checksums'] : binaries.major >= 18 ? ['--no-data-checksums'] : [];
  await program('initdb', [...initdb, ...pages]);
  const settings = {
    listen_addresses: '',
    unix_socket_directories: folder,
    shared_buffers: '32MB',
    fsync: 'off',
    full_page_writes: 'on',
    autovacuum: 'off',
    max_wal_size: '64MB',
    max_prepared_transactions: '5',
    archive_mode: 'on',
    archive_command: `test ! -f ${archive}/%f && cp %p ${archive}/%f.tmp && mv ${archive}/%f.tmp ${archive}/%f`,
  };
  await writeFile(
    path.join(dataDir!, 'postgresql.auto.conf'),
    Object.entries(settings)
      .map(([name, value]) => `${name} = '${value}'\n`)
      .join(''),
  );
  const server = spawn('setpriv', ['--pdeathsig', 'INT', path.join(binaries.binDir, 'postgres'), '-D', dataDir!], {
    cwd: folder,
    stdio: 'ignore',
    ...(osUser && { uid: osUser.uid, gid: osUser.gid }),
  });
  const ended = once(server, 'exit');
  const connect = (database = 'postgres') =>
    openConnection({ host: folder, port, database, user: 'postgres', password: '' }, { applicationName: 'test' });
  const sql = async (database: string, ...statements: string[]) => {
    const connection = await connect(database);
    try {
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = await connection.query(statement);
      return rows;
    } finally {
      await connection.close();
    }
  };
  const text = async (query: string) => String(Object.values((await sql('postgres', query))[0]!)[0]);
  await waitFor('the source to accept connections', () => sql('postgres', 'SELECT 1').then(Boolean, () => false), {
    deadlineMs: 120_000,
  });
  return {
    folder,
    archive: archive!,
    binaries,
    osUser,
    connect,
    sql,
    lsn: async () => parseLsn(await text('SELECT pg_current_wal_insert_lsn()')),
    async archiveNow() {
      const name = await text('SELECT pg_walfile_name(pg_switch_wal())');
      await waitFor('the segment to be archived', async () => (await readdir(archive!)).includes(name));
      return name;
    },
    async takeBase() {
      await rm(base!, { recursive: true, force: true });
      await program('pg_basebackup', ['-h', folder, '-U', 'postgres', '-D', base!, '-X', 'none', '-c', 'fast', '-N']);
    },
    async restoreBase({ dataDir: to }, { without = [] } = {}) {
      const copied = await runProgram('cp', ['-a', base!, to], { osUser, cwd: folder });
      if (copied.exitCode !== 0) throw new Error(copied.stderr);
      for (const oid of without) {
        for (const name of await readdir(path.join(to, 'base', String(oid))))
          await rm(path.join(to, 'base', String(oid), name));
      }
    },
    systemIdentifier: () => text('SELECT system_identifier FROM pg_control_system()'),
    scratchParent: scratch!,
    newScratch: () => createScratchFolder(scratch!, osUser),
    async stop() {
      if (server.exitCode === null && server.signalCode === null) server.kill('SIGINT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A folder of segments and history files, as PostgreSQL's archiver writes it. */
export function folderSource(archive: string): WalSource {
  const pathOf = (name: string) => path.join(archive, name);
  const exists = async (name: string) => (await readdir(archive)).includes(name);
  return {
    async openSegment(timeline, start) {
      const name = segmentFileName(timeline, start);
      return (await exists(name)) ? createReadStream(pathOf(name)) : undefined;
    },
    async readHistory(timeline) {
      const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
      return (await exists(name)) ? readFile(pathOf(name)) : undefined;
    },
  };
}

/** Restores the base backup without these databases, recovers it, and removes everything whatever happens. */
export async function recoverFrom<T>(
  source: SourceServer,
  change: Partial<RecoveryOptions> & { readonly target: RecoveryTarget },
  work: (server: RecoveredServer, folder: ScratchFolder) => Promise<T>,
  without: readonly number[] = [],
): Promise<T> {
  const folder = await source.newScratch();
  try {
    await source.restoreBase(folder, { without });
    const server = await startRecovery({
      folder,
      binaries: source.binaries,
      walSource: folderSource(source.archive),
      timeline: 1,
      systemIdentifier: await source.systemIdentifier(),
      log: silentLog,
      deadlineMs: 60_000,
      ...change,
    });
    try {
      return await work(server, folder);
    } finally {
      await server.stop();
    }
  } finally {
    await folder.remove();
  }
}
