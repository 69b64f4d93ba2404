import type { BackupId, ClusterId } from '#src/kernel/index.ts';
import type { KeyOwner } from '#src/keys/types.ts';
import type { ObjectName } from '#src/objects/index.ts';

export function manifestName(clusterId: ClusterId, backupId: BackupId): ObjectName {
  return `base/${clusterId}/${backupId}/manifest`;
}

export function sharedName(clusterId: ClusterId, backupId: BackupId): ObjectName {
  return `base/${clusterId}/${backupId}/shared`;
}

/** The name says which backup wrote it: what a killed backup left, and what one under way has written, can be told by it. */
export function databaseName(owner: KeyOwner, backupId: BackupId, oid: number): ObjectName {
  return `data/${owner}/${backupId}_${oid}`;
}

/** The backup that wrote the object of a database: not always the one that names it. */
export function writerOf(name: ObjectName): string {
  return /\/(bak_[^_/]+)_\d+$/.exec(name)?.[1] ?? '';
}
