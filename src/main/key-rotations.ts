import { recordAudit } from '#src/audit/index.ts';
import type { ClusterId } from '#src/kernel/index.ts';
import type { KeyId } from '#src/keys/types.ts';
import type { Pool } from '#src/postgres/index.ts';

/**
 * Records each version of the cluster's key up to this one that is not recorded yet. The key store has a new version before the control database can know of it:
 * whoever was killed in between is made up for at the next start.
 */
export async function recordRotations(db: Pool, clusterId: ClusterId, current: KeyId): Promise<void> {
  const versions = Number(current.slice(current.lastIndexOf('.') + 1));
  if (versions === 1) return;
  await db.transaction(async (tx) => {
    // Two rotations at once see each other's versions.
    await tx.query(`SELECT pg_advisory_xact_lock(hashtext('freehold key rotations'))`);
    const rows = await tx.query<{ keyId: KeyId }>(
      `SELECT details->>'keyId' AS "keyId" FROM audit_events WHERE name = 'backup.key_rotated' AND subject = $1`,
      [clusterId],
    );
    const recorded = new Set(rows.map(({ keyId }) => keyId));
    for (let version = 2; version <= versions; version++) {
      const keyId: KeyId = `${clusterId}.${version}`;
      if (recorded.has(keyId)) continue;
      await recordAudit(tx, {
        name: 'backup.key_rotated',
        actor: 'os:operator',
        subject: clusterId,
        details: { keyId },
      });
    }
  });
}
