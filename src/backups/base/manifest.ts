import type { BackupId, ClusterId } from '#src/kernel/index.ts';
import { isId, parseLsn } from '#src/kernel/index.ts';
import { openObject, sealObjectBytes } from '#src/keys/index.ts';
import type { BackupKey, BackupKeys } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { BackupManifest } from '../types.ts';
import { baseBackupErrors } from './errors.ts';
import { manifestName } from './names.ts';

export async function sealManifest(manifest: BackupManifest, key: BackupKey): Promise<Buffer> {
  const { clusterId, backupId } = manifest;
  const header = { kind: 'manifest', keyId: key.keyId, clusterId, backupId } as const;
  return sealObjectBytes(key.key, header, Buffer.from(JSON.stringify(manifest)));
}

/** Far above what a hundred thousand databases need. */
const longestManifestBytes = 256 * 1024 * 1024;

/** The manifest of a backup that lies in this region; undefined when it does not. FH_KEY_UNSEAL, FH_BACKUP_OBJECT_DAMAGED, FH_KEY_DESTROYED. */
export async function findManifest(
  region: RegionStore,
  { clusterId, backupId }: { clusterId: ClusterId; backupId: BackupId },
  openKey: BackupKeys['openKey'],
): Promise<BackupManifest | undefined> {
  const name = manifestName(clusterId, backupId);
  const source = await region.get(name);
  if (!source) return undefined;
  const { content } = await openObject(source, {
    expect: { kind: 'manifest', clusterId, backupId },
    // Whoever holds some other key must not be able to make a manifest of this cluster.
    owner: clusterId,
    findKey: async (keyId) => (await openKey(keyId)).key,
  });
  const text = await collect(content);
  const manifest = parseManifest(text.toString('utf8'), name);
  if (manifest.clusterId !== clusterId || manifest.backupId !== backupId) throw damaged(name);
  return manifest;
}

/** Backups of a cluster that have a manifest in this region, oldest name first (names say nothing of time). */
export async function* listBackups(region: RegionStore, clusterId: ClusterId): AsyncGenerator<BackupId> {
  for await (const { name } of region.list(`base/${clusterId}/`)) {
    const [, , backupId, last] = name.split('/');
    if (last === 'manifest' && isId('bak', backupId)) yield backupId;
  }
}

/** It was authenticated before; this only refuses what a later format would mean differently. */
function parseManifest(text: string, name: string): BackupManifest {
  try {
    const manifest = JSON.parse(text) as BackupManifest;
    if (manifest.format !== 1 || !Array.isArray(manifest.databases) || !manifest.shared.object) throw damaged(name);
    if (parseLsn(manifest.startLsn) > parseLsn(manifest.stopLsn)) throw damaged(name);
    return manifest;
  } catch (cause) {
    throw baseBackupErrors.FH_BACKUP_OBJECT_DAMAGED({ detail: name, cause });
  }
}

function damaged(detail: string) {
  return baseBackupErrors.FH_BACKUP_OBJECT_DAMAGED({ detail });
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.byteLength;
    if (bytes > longestManifestBytes) throw damaged('it is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
