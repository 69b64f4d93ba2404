import { open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { createScratchFolder, type RecoveredServer, removeScratchFolders } from '#src/clusters/index.ts';
import { failpoint } from '#src/kernel/index.ts';
import { baseBackupErrors } from '../base/index.ts';
import { type RestoreOptions, recoverPlan } from './recover.ts';

export interface RestoreClusterOptions extends RestoreOptions {
  /** The data folder to be: absent or empty. It appears when it is complete and on disk. */
  readonly into: string;
}

export type RestoredCluster = Pick<RecoveredServer, 'lsn' | 'newTimeline' | 'reason' | 'lastCommitAt'>;

/**
 * A whole data folder as it was at the plan's target, shut down cleanly on a timeline of its own, ready to be started by `createCluster`, which writes its settings.
 * Works in a folder beside `into`: killed at any moment, `into` is either complete or not there, and the next call removes what was left.
 * Settings by ALTER SYSTEM are not taken along: they may be what has to be recovered from.
 */
export async function restoreCluster(options: RestoreClusterOptions): Promise<RestoredCluster> {
  const into = path.resolve(options.into);
  const parent = path.dirname(into);
  await requireEmpty(into);
  await removeScratchFolders(parent, options.log);
  const folder = await createScratchFolder(parent, options.osUser);
  try {
    const readable = new Set(options.plan.databases.map(({ oid }) => oid));
    const server = await recoverPlan(options, { folder, databases: [...readable], durable: true });
    await server.stop();
    await failpoint('backups.restore.stopped');
    // Timelines that others make later are theirs to ship; the one made here has its history in pg_wal.
    for (const name of ['postmaster.opts', 'backup_label.old'])
      await rm(path.join(folder.dataDir, name), { force: true });
    await rmdir(into).catch(ignoreMissing);
    await rename(folder.dataDir, into);
    await syncFolder(parent);
    await failpoint('backups.restore.renamed');
    const { lsn, newTimeline, reason, lastCommitAt } = server;
    return { lsn, newTimeline, reason, lastCommitAt };
  } finally {
    await folder.remove();
  }
}

async function requireEmpty(folder: string): Promise<void> {
  const entries = (await readdir(folder).catch(ignoreMissing)) ?? [];
  if (entries.length > 0) throw baseBackupErrors.FH_RESTORE_FOLDER_IN_USE({ detail: folder });
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}
