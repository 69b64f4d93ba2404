import { createHash } from 'node:crypto';
import { failpoint, type Log } from '#src/kernel/index.ts';
import type { ObjectName, RegionStore } from '#src/objects/index.ts';
import type { BackupManifest } from '../types.ts';
import { baseBackupErrors } from './errors.ts';
import { manifestName } from './names.ts';

export interface CopyBackupOptions {
  /** A region that has the backup complete. */
  readonly from: RegionStore;
  readonly to: RegionStore;
  readonly manifest: BackupManifest;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

export interface CopyResult {
  readonly copiedObjects: number;
  readonly copiedBytes: number;
}

/**
 * Brings a backup to a region that was away, object by object as they are, without a key; what is there is not sent again. The manifest comes last,
 * after every object it names has been seen in `to` with its size. May be killed and called again.
 * Errors: FH_BACKUP_OBJECT_MISSING, FH_BACKUP_OBJECT_DAMAGED (in `from`), FH_BASE_BACKUP_NAME_TAKEN (in `to`), those of the regions.
 */
export async function copyBackup({ from, to, manifest, log, signal }: CopyBackupOptions): Promise<CopyResult> {
  let copiedObjects = 0;
  let copiedBytes = 0;
  const objects = new Map<ObjectName, { storedBytes: number; storedSha256: string }>();
  for (const part of [...manifest.databases, manifest.shared]) objects.set(part.object, part);
  for (const [name, expected] of objects) {
    signal?.throwIfAborted();
    const there = await to.stat(name);
    if (there) {
      if (there.sizeBytes !== expected.storedBytes) throw taken(to, name);
      continue;
    }
    await copy(name, expected);
    await failpoint('backups.base.object_copied');
  }
  const name = manifestName(manifest.clusterId, manifest.backupId);
  if (!(await to.stat(name))) await copy(name);
  await failpoint('backups.base.manifest_copied');
  log.info('a base backup was copied', { from: from.region, to: to.region, copiedObjects, copiedBytes });
  return { copiedObjects, copiedBytes };

  async function copy(object: ObjectName, expected?: { storedBytes: number; storedSha256: string }): Promise<void> {
    const source = await from.get(object);
    if (!source) throw baseBackupErrors.FH_BACKUP_OBJECT_MISSING({ detail: `${from.region}: ${object}` });
    const content = expected ? checked(source, expected, `${from.region}: ${object}`) : source;
    const result = await to
      .put(object, content, { expectedBytes: expected?.storedBytes, signal })
      // Of what was refused before it was read, nobody else lets go.
      .finally(() => source.destroy());
    if (result.outcome === 'exists') throw taken(to, object);
    copiedObjects++;
    copiedBytes += result.sizeBytes;
  }
}

/** Passes an object on; throws before its end when it is not the one that was stored, so that nothing of it is published. */
async function* checked(
  source: AsyncIterable<Buffer>,
  expected: { storedBytes: number; storedSha256: string },
  what: string,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of source) {
    hash.update(piece);
    bytes += piece.length;
    yield piece;
  }
  if (bytes !== expected.storedBytes || hash.digest('hex') !== expected.storedSha256) {
    throw baseBackupErrors.FH_BACKUP_OBJECT_DAMAGED({ detail: what });
  }
}

function taken(region: RegionStore, name: ObjectName) {
  return baseBackupErrors.FH_BASE_BACKUP_NAME_TAKEN({ detail: `${region.region}: ${name}` });
}
