/**
 * A PostgreSQL server of one test's own, made as the product makes it (checksums, access rules, roles, fsync on), that the test may kill,
 * start again and copy. Folders below one temporary folder, which `remove` takes away.
 */
import { chown, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Cluster, createCluster, findBinaries, findOsUser, type OsUser } from '#src/clusters/index.ts';
import { silentLog, waitFor } from '#src/kernel/index.ts';
import { type Connection, newPassword, openConnection } from '#src/postgres/index.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';

export interface OwnCluster {
  readonly cluster: Cluster;
  /** Owned by the server's user. */
  readonly folder: string;
  readonly osUser: OsUser | undefined;
  readonly control: ConnectionTarget;
  readonly replication: ConnectionTarget;
  /** A session as control on control's database. */
  connect(): Promise<Connection>;
  /** kill -9 of the postmaster; resolves when it and its backends are gone and it was started again. */
  crash(): Promise<void>;
  /** Stops the server and removes everything. */
  remove(): Promise<void>;
}

export interface OwnClusterOptions {
  /** Written behind our own settings. */
  readonly settings?: Readonly<Record<string, string>>;
}

export async function startOwnCluster({ settings = {} }: OwnClusterOptions = {}): Promise<OwnCluster> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'freehold-own-')));
  const osUser = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  const make = async (name: string) => {
    const made = path.join(folder, name);
    await mkdir(made, { recursive: true, mode: 0o755 });
    if (osUser) await chown(made, osUser.uid, osUser.gid);
    return made;
  };
  await make('');
  const cluster = createCluster({
    dataDir: path.join(folder, 'data'),
    socketDir: await make('run'),
    logFile: path.join(await make('logs'), 'postgres.log'),
    port: 5432,
    osUser,
    maxConnections: 40,
    binaries: await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN }),
    log: silentLog,
  });
  const controlPassword = newPassword();
  const replicationPassword = newPassword();
  try {
    await cluster.initialise();
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    await writeFile(path.join(cluster.options.dataDir, 'postgresql.auto.conf'), lines.join(''));
    await cluster.start();
    await cluster.bootstrap({ controlPassword, replicationPassword });
  } catch (error) {
    await cluster.stop({ smartMs: 0 });
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const control = cluster.controlTarget(controlPassword);
  return {
    cluster,
    folder,
    osUser,
    control,
    replication: cluster.replicationTarget(replicationPassword),
    connect: () => openConnection(control, { applicationName: 'test' }),
    async crash() {
      process.kill(cluster.status().processId!, 'SIGKILL');
      await waitFor('the postmaster to be gone', () => cluster.status().state === 'stopped');
      await cluster.start();
    },
    async remove() {
      await cluster.stop({ smartMs: 0, fastMs: 5_000 });
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** PostgreSQL refuses to run as root. */
async function unprivilegedUser(): Promise<OsUser> {
  for (const name of ['freehold-postgres', 'postgres', 'nobody']) {
    const user = await findOsUser(name);
    if (user) return user;
  }
  throw new Error('run the tests as an ordinary user: no unprivileged user was found to run PostgreSQL');
}
