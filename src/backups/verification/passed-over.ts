import type { BackupId, ClusterId } from '#src/kernel/index.ts';
import type { KeyOwner } from '#src/keys/types.ts';
import { ownerOf } from '../catalogue/bases.ts';
import type { Catalogue } from '../catalogue/index.ts';
import { missingObject, type TenantNames } from './cause.ts';
import { toFinding } from './check.ts';
import { verificationErrors } from './errors.ts';
import type { Finding } from './types.ts';

/** A base backup whose manifest lies in the region and cannot be opened. */
export function unreadableBackup(region: string, backupId: BackupId): Finding {
  const detail = `${backupId} in region ${region}: its manifest was changed, is damaged, or is sealed under another key`;
  return toFinding(verificationErrors.FH_VERIFY_BACKUP_UNREADABLE({ detail }));
}

/**
 * Why a restore uses this backup although the region holds newer ones: each that cannot be read, or lacks an object, is a finding. Without it a restore from
 * an older one would hide that. Objects of destroyed owners are not missed.
 * @param used undefined: none can be used
 */
export function findPassedOver(
  { region, clusters }: Catalogue,
  clusterId: ClusterId,
  used: BackupId | undefined,
  { destroyed, names }: { destroyed: ReadonlySet<KeyOwner>; names: TenantNames },
): Finding[] {
  const backups = clusters.get(clusterId)?.backups ?? [];
  const since = backups.find(({ backupId }) => backupId === used)?.storedAt.getTime() ?? Number.NEGATIVE_INFINITY;
  return backups
    .filter((backup) => backup.storedAt.getTime() > since)
    .flatMap((backup) => {
      if (backup.state === 'unreadable') return [unreadableBackup(region, backup.backupId)];
      if (backup.state !== 'incomplete') return [];
      const { shared, databases } = backup.manifest;
      const parts = [shared, ...databases].filter((part) => !destroyed.has(ownerOf(part)));
      return parts
        .filter(({ object }) => backup.missing.includes(object))
        .map(({ object }) => {
          const database = databases.find((each) => each.object === object);
          return missingObject(region, database, object, names);
        });
    });
}
