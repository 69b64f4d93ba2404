import type { BackupId, ClusterId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { manifestName } from '../base/index.ts';
import type { BackupManifest } from '../types.ts';
import type { RetentionHolds } from './holds.ts';
import { isCondemned } from './sql.ts';

export interface HeldPrevious {
  /** undefined: none can be relied on, so everything is stored again. */
  readonly previous: BackupManifest | undefined;
  release(): void;
}

/**
 * Holds a base backup that is about to be made, and the one that it is compared with: objects of that one are named again, in every region, so they must
 * not go before the new manifest is there. Whoever removes writes it down and then looks at what is held; we hold and then look at what is written
 * down. So one of the two always sees the other.
 */
export async function holdBaseBackup({
  clusterId,
  backupId,
  findPrevious,
  holds,
  db,
}: {
  readonly clusterId: ClusterId;
  readonly backupId: BackupId;
  /** Candidates, the best first. */
  readonly findPrevious: () => Promise<readonly BackupManifest[]>;
  readonly holds: RetentionHolds;
  readonly db: Queryable;
}): Promise<HeldPrevious> {
  const releases = [holds.beginBackup({ clusterId, backupId })];
  const release = () => {
    for (const each of releases.splice(0)) each();
  };
  try {
    for (const previous of await findPrevious()) {
      const reason = `backup ${backupId}, which is under way, is compared with it`;
      const releaseOne = holds.hold({ kind: 'backup', backupId: previous.backupId, reason });
      if (await isCondemned(db, manifestName(clusterId, previous.backupId))) {
        releaseOne();
        continue;
      }
      releases.push(releaseOne);
      return { previous, release };
    }
    return { previous: undefined, release };
  } catch (error) {
    release();
    throw error;
  }
}
