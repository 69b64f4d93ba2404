import type { UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { ConnectionId, MailDomain, SignOnPolicy, SignOnWay } from './types.ts';

/** Whom connections speak for: domains, people, and who must come this way. */

export async function findIdentity(
  db: Queryable,
  connectionId: ConnectionId,
  subject: string,
): Promise<UserId | undefined> {
  const [row] = await db.query<{ user_id: UserId }>(
    `UPDATE freehold.sign_on_identities SET last_used_at = now() WHERE connection_id = $1 AND subject = $2 RETURNING user_id`,
    [connectionId, subject],
  );
  return row?.user_id;
}

/** @returns false: the subject or the user is linked already */
export async function insertIdentity(
  db: Queryable,
  connectionId: ConnectionId,
  subject: string,
  userId: UserId,
): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO freehold.sign_on_identities (connection_id, subject, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1`,
    [connectionId, subject, userId],
  );
  return rows.length > 0;
}

/** @returns how many there were */
export async function deleteIdentities(db: Queryable, userId: string): Promise<number> {
  const rows = await db.query('DELETE FROM freehold.sign_on_identities WHERE user_id = $1 RETURNING 1', [userId]);
  return rows.length;
}

export async function isDomainProven(db: Queryable, domain: string, connectionId: ConnectionId): Promise<boolean> {
  const rows = await db.query(
    'SELECT 1 FROM freehold.sign_on_domains WHERE domain = $1 AND connection_id = $2 AND proven_at IS NOT NULL',
    [domain, connectionId],
  );
  return rows.length > 0;
}

/** The connection that is on and speaks for this domain. */
export async function findConnectionOfDomain(db: Queryable, domain: string): Promise<ConnectionId | undefined> {
  const [row] = await db.query<{ connection_id: ConnectionId }>(
    `SELECT c.connection_id FROM freehold.sign_on_domains d JOIN freehold.sign_on_connections c USING (connection_id)
     WHERE d.domain = $1 AND d.proven_at IS NOT NULL AND c.state = 'on'`,
    [domain],
  );
  return row?.connection_id;
}

const domainColumns = 'domain, connection_id AS "connectionId", token, proven_at AS "provenAt"';

export function selectDomains(db: Queryable): Promise<MailDomain[]> {
  return db.query<MailDomain>(`SELECT ${domainColumns} FROM freehold.sign_on_domains ORDER BY domain`);
}

export async function findDomain(db: Queryable, domain: string): Promise<MailDomain | undefined> {
  const [row] = await db.query<MailDomain>(`SELECT ${domainColumns} FROM freehold.sign_on_domains WHERE domain = $1`, [
    domain,
  ]);
  return row;
}

/** @returns false: it is there already */
export async function insertDomain(db: Queryable, domain: Omit<MailDomain, 'provenAt'>): Promise<boolean> {
  const rows = await db.query(
    'INSERT INTO freehold.sign_on_domains (domain, connection_id, token) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1',
    [domain.domain, domain.connectionId, domain.token],
  );
  return rows.length > 0;
}

/** With the token that was looked for: it may have been removed and added anew meanwhile. */
export async function markProven(db: Queryable, domain: string, token: string): Promise<boolean> {
  const rows = await db.query(
    'UPDATE freehold.sign_on_domains SET proven_at = coalesce(proven_at, now()) WHERE domain = $1 AND token = $2 RETURNING 1',
    [domain, token],
  );
  return rows.length > 0;
}

export async function deleteDomain(db: Queryable, domain: string): Promise<boolean> {
  const rows = await db.query('DELETE FROM freehold.sign_on_domains WHERE domain = $1 RETURNING 1', [domain]);
  return rows.length > 0;
}

export async function findSignOnPolicy(db: Queryable): Promise<SignOnPolicy> {
  const [row] = await db.query<SignOnPolicy>(
    `SELECT coalesce((SELECT enforced FROM freehold.sign_on_policy), false) AS enforced,
       ARRAY(SELECT user_id FROM freehold.break_glass_owners ORDER BY user_id) AS "breakGlass"`,
  );
  return row!;
}

export async function lockSignOnPolicy(db: Queryable): Promise<void> {
  await db.query('SELECT 1 FROM freehold.sign_on_policy FOR UPDATE');
}

const entrance = `hashtextextended('freehold.sign_on_policy', 0)`;

/** Held to the commit by whoever signs in here without a provider: enforcement begins after them, and ends what they began. */
export async function holdEntrance(db: Queryable): Promise<void> {
  await db.query(`SELECT pg_advisory_xact_lock_shared(${entrance})`);
}

/** Waits for all who hold it; who comes later reads the policy that this transaction makes. There may be no row to lock. */
export async function closeEntrance(db: Queryable): Promise<void> {
  await db.query(`SELECT pg_advisory_xact_lock(${entrance})`);
}

export async function replacePolicy(db: Queryable, { enforced, breakGlass }: SignOnPolicy): Promise<void> {
  await db.query(
    `INSERT INTO freehold.sign_on_policy (enforced) VALUES ($1) ON CONFLICT (single) DO UPDATE SET enforced = excluded.enforced`,
    [enforced],
  );
  await db.query('DELETE FROM freehold.break_glass_owners WHERE user_id <> ALL ($1::text[])', [breakGlass]);
  await db.query('INSERT INTO freehold.break_glass_owners (user_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING', [
    breakGlass,
  ]);
}

/** Active owners who are marked. */
export async function selectBreakGlass(db: Queryable): Promise<UserId[]> {
  const rows = await db.query<{ user_id: UserId }>(
    `SELECT b.user_id FROM freehold.break_glass_owners b JOIN freehold.users u USING (user_id)
     WHERE u.role = 'owner' AND u.state = 'active' ORDER BY b.user_id`,
  );
  return rows.map(({ user_id }) => user_id);
}

/** What ends a session from the provider's side. */
export async function insertSignOnSession(db: Queryable, sessionId: string, way: SignOnWay): Promise<void> {
  await db.query(
    `INSERT INTO freehold.sign_on_sessions (session_id, connection_id, subject, session_index, name_qualifier, sp_name_qualifier)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [sessionId, way.connectionId, way.subject, way.sessionIndex, way.nameQualifier, way.spNameQualifier],
  );
}

export async function noteForeignFactor(db: Queryable, sessionId: string): Promise<void> {
  await db.query('UPDATE freehold.sessions SET has_foreign_factor = true WHERE session_id = $1', [sessionId]);
}
