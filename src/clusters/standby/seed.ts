import { chown, mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { failpoint, type Log, randomName } from '#src/kernel/index.ts';
import { clusterErrors } from '../errors.ts';
import { syncFolder } from '../files.ts';
import { runProgram } from '../run.ts';
import type { ClusterOptions } from '../server.ts';
import { fence } from './fence.ts';
import { standbySlot, type Upstream } from './upstream.ts';

const marker = '.seeding-';

export interface SeedOptions {
  /** Whose data folder is made anew; its server is stopped. */
  readonly standby: ClusterOptions;
  readonly upstream: Upstream;
  /** Aborting kills the copying. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/**
 * Copies the primary into the standby's folder, WAL streamed beside it. The copy is made under another name, marked as a standby and
 * renamed when it is complete and on disk; what was in the folder before goes then. Safe to be killed in and to be called again.
 */
export async function seedStandby({ standby, upstream, signal, log }: SeedOptions): Promise<void> {
  const { dataDir, osUser, binaries } = standby;
  const parent = path.dirname(dataDir);
  await removeLeftovers(dataDir);
  log.info('copying the primary for the standby', { folder: dataDir });
  const temporary = path.join(parent, path.basename(dataDir) + marker + randomName(10));
  await mkdir(temporary, { mode: 0o700 });
  if (osUser) await chown(temporary, osUser.uid, osUser.gid);
  await failpoint('clusters.seed.folder_made');
  const args = [
    '--pgdata',
    temporary,
    '--wal-method=stream',
    `--slot=${standbySlot}`,
    '--checkpoint=fast',
    '--no-password',
  ];
  args.push('--host', upstream.socketDir, '--port', String(upstream.port), '--username=freehold_replication');
  const result = await runProgram(path.join(binaries.binDir, 'pg_basebackup'), args, {
    osUser,
    cwd: temporary,
    env: { PGPASSFILE: upstream.passFile, PGAPPNAME: 'freehold_seed' },
    signal,
  });
  if (result.exitCode !== 0) {
    await rm(temporary, { recursive: true, force: true });
    const cause = new Error(result.stderr.trim());
    throw clusterErrors.FH_CLUSTER_TOOL_FAILED({ detail: 'pg_basebackup', cause });
  }
  await fence(temporary, osUser);
  await failpoint('clusters.seed.copied');
  const old = path.join(parent, path.basename(dataDir) + marker + randomName(10));
  await rename(dataDir, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await failpoint('clusters.seed.old_aside');
  await rename(temporary, dataDir);
  await syncFolder(parent);
  await failpoint('clusters.seed.renamed');
  await rm(old, { recursive: true, force: true });
}

/** Half-made copies of attempts that were killed. */
async function removeLeftovers(dataDir: string): Promise<void> {
  const parent = path.dirname(dataDir);
  const prefix = path.basename(dataDir) + marker;
  for (const entry of await readdir(parent)) {
    if (entry.startsWith(prefix)) await rm(path.join(parent, entry), { recursive: true, force: true, maxRetries: 5 });
  }
}
