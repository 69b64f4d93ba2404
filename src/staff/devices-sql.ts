import type { Queryable } from '#src/postgres/types.ts';

/** Browsers in which a member signed in with both factors. As `freehold.known_devices` of tenants. */
const maxKnownDevices = 5;

export async function isKnownDevice(db: Queryable, staffId: string, tokenHash: Buffer): Promise<boolean> {
  const rows = await db.query('SELECT 1 FROM staff_known_devices WHERE token_hash = $1 AND staff_id = $2', [
    tokenHash,
    staffId,
  ]);
  return rows.length > 0;
}

export async function rememberDevice(db: Queryable, staffId: string, tokenHash: Buffer): Promise<void> {
  await db.query(
    `INSERT INTO staff_known_devices (token_hash, staff_id) VALUES ($1, $2)
     ON CONFLICT (token_hash, staff_id) DO UPDATE SET last_used_at = now()`,
    [tokenHash, staffId],
  );
  await db.query(
    `DELETE FROM staff_known_devices WHERE staff_id = $1 AND token_hash IN (
       SELECT token_hash FROM staff_known_devices WHERE staff_id = $1 ORDER BY last_used_at DESC OFFSET $2)`,
    [staffId, maxKnownDevices],
  );
}

export async function forgetDevice(db: Queryable, staffId: string, tokenHash: Buffer): Promise<void> {
  await db.query('DELETE FROM staff_known_devices WHERE token_hash = $1 AND staff_id = $2', [tokenHash, staffId]);
}

export async function forgetDevicesOf(db: Queryable, staffId: string): Promise<void> {
  await db.query('DELETE FROM staff_known_devices WHERE staff_id = $1', [staffId]);
}
