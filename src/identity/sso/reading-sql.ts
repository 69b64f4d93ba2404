import type { Queryable } from '#src/postgres/types.ts';
import { findConnection } from './sign-on-sql.ts';
import type { SamlConnection, SamlSettings } from './types.ts';

/** Of all workers at once, one gets the connection as it is: the others find it tried. Undefined: it was tried after `notSince`, or is another by now. */
export async function claimReading(
  db: Queryable,
  { connectionId, settings }: SamlConnection,
  { at, notSince }: { at: string; notSince: string },
): Promise<SamlConnection | undefined> {
  const rows = await db.query(
    `UPDATE freehold.sign_on_connections
     SET settings = jsonb_set(settings, '{metadataReading}',
       coalesce(settings -> 'metadataReading', '{"readAt": null, "problem": null, "problemSince": null}') || jsonb_build_object('triedAt', $3::text))
     WHERE connection_id = $1 AND kind = 'saml' AND settings ->> 'metadataUrl' = $2
       AND coalesce(settings #>> '{metadataReading,triedAt}', '') <= $4
     RETURNING 1`,
    // ISO 8601 in UTC: as text they are in order.
    [connectionId, settings.metadataUrl, at, notSince],
  );
  if (rows.length === 0) return undefined;
  return (await findConnection(db, connectionId)) as SamlConnection;
}

/** @returns as it is then; undefined: somebody changed it meanwhile. `isChange`: a sign-in that is under way notices. */
export async function keepReading(
  db: Queryable,
  { connectionId, changedAt }: SamlConnection,
  settings: SamlSettings,
  isChange: boolean,
): Promise<SamlConnection | undefined> {
  // The client's times have milliseconds, the server's microseconds.
  const rows = await db.query(
    `UPDATE freehold.sign_on_connections SET settings = $3, changed_at = CASE WHEN $4 THEN now() ELSE changed_at END
     WHERE connection_id = $1 AND date_trunc('milliseconds', changed_at) = $2 RETURNING 1`,
    [connectionId, changedAt, JSON.stringify(settings), isChange],
  );
  if (rows.length === 0) return undefined;
  return (await findConnection(db, connectionId)) as SamlConnection;
}
