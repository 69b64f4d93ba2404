import { FreeholdError, parseLsn, segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import { keyErrors } from '#src/keys/index.ts';
import type { BackupKey, KeyId } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { findManifest, listBackups } from '../base/index.ts';
import { comparePositions, type WalPosition } from './timeline.ts';
import { parseWalName, type WalOwner } from './wal-objects.ts';

/**
 * Where the WAL that a region can use begins: at the segment in which the replay of its oldest base backup does. What lies before it was removed there when
 * retention ended, or is of no use there. undefined: it has no base backup, or one that cannot be read; then everything may be of use.
 */
export async function findWalFloor(region: RegionStore, owner: WalOwner): Promise<WalPosition | undefined> {
  const { clusterId, findKey } = owner;
  const openKey = async (keyId: KeyId): Promise<BackupKey> => {
    const key = await findKey(keyId);
    if (!key) throw keyErrors.FH_KEY_UNSEAL();
    return { keyId, key: Buffer.from(key) };
  };
  let floor: WalPosition | undefined;
  try {
    for await (const backupId of listBackups(region, clusterId)) {
      const manifest = await findManifest(region, { clusterId, backupId }, openKey);
      if (!manifest) continue;
      const start = { timeline: manifest.timeline, lsn: segmentStart(parseLsn(manifest.startLsn)) };
      if (!floor || comparePositions(start, floor) < 0) floor = start;
    }
  } catch (error) {
    if (error instanceof FreeholdError && /^FH_(KEY|BACKUP)_/.test(error.code)) return undefined;
    throw error;
  }
  return floor;
}

/** Whether a chunk or segment, by its name, ends before the floor. Of a chunk in the floor's segment nobody knows by the name: it does not. */
export function isBelowFloor(name: string, floor: WalPosition | undefined): boolean {
  const parsed = parseWalName(name);
  if (!floor || !parsed) return false;
  const { timeline, number } = parsed;
  const start = name.startsWith('segments/') ? number * walSegmentBytes : number;
  return comparePositions({ timeline, lsn: segmentStart(start) + walSegmentBytes }, floor) <= 0;
}
