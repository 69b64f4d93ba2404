import type { CancelSignal } from '#src/kernel/index.ts';
import type { LifecycleDeps } from './ports.ts';
import { forgetSnapshot, lockSnapshot, selectDueSnapshots } from './snapshots-sql.ts';

/** Drops databases of tenants as they were before an update, whose time is over. @returns how many */
export async function dropDueSnapshots(
  { db, databases, clock }: Pick<LifecycleDeps, 'db' | 'databases' | 'clock'>,
  signal?: CancelSignal,
): Promise<number> {
  const now = new Date(clock.now());
  let dropped = 0;
  for (const { databaseName } of await selectDueSnapshots(db, now)) {
    if (signal?.aborted) break;
    // Under its lock: an update that wants to go back to it finds it, or finds that it is gone.
    await db.transaction(async (tx) => {
      const due = await lockSnapshot(tx, databaseName);
      if (!due?.keepUntil || due.keepUntil > now) return;
      await databases.dropDatabase(databaseName);
      await forgetSnapshot(tx, databaseName);
      dropped++;
    });
  }
  return dropped;
}
