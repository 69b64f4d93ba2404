import { randomBytes } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';

/**
 * The tenant's secrets of these names; what is not there yet is made. Two who ask at once get the same. In a transaction of the tenant's platform role.
 * They go along with restores and archives, because an app may have encrypted rows under them; a clone gets new ones, because whoever signs in there as
 * somebody must not be that person in the original (src/identity, stripClone).
 */
export async function ensureSecrets(
  db: Queryable,
  names: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const values = names.map(() => randomBytes(32).toString('base64url'));
  await db.query(
    `INSERT INTO freehold.app_secrets (name, value) SELECT e.name, e.value FROM unnest($1::text[], $2::text[]) AS e (name, value) ON CONFLICT (name) DO NOTHING`,
    [names, values],
  );
  const rows = await db.query<{ name: string; value: string }>(
    'SELECT name, value FROM freehold.app_secrets WHERE name = ANY ($1::text[])',
    [names],
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}
