import type { TenantId } from '#src/kernel/index.ts';
import { lazily, type Queryable } from '#src/postgres/index.ts';
import type { MailId, MailKind, MailState } from './types.ts';

export interface MailRow {
  readonly mailId: MailId;
  readonly tenantId: TenantId;
  readonly tenantName: string;
  readonly kind: MailKind;
  readonly state: MailState;
  readonly sealed: Buffer;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly attempts: number;
  readonly nextAttemptAt: Date | null;
  readonly sentAt: Date | null;
  readonly problem: string | null;
}

const columns = `mail_id AS "mailId", tenant_id AS "tenantId", tenant_name AS "tenantName", kind, state, sealed, created_at AS "createdAt",
  expires_at AS "expiresAt", attempts, next_attempt_at AS "nextAttemptAt", sent_at AS "sentAt", problem`;

export interface NewMail {
  readonly mailId: MailId;
  readonly tenantId: TenantId;
  readonly tenantName: string;
  readonly kind: MailKind;
  readonly state: 'kept' | 'queued';
  readonly sealed: Buffer;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** @returns false when the tenant has ordered `perHour` of this kind within an hour */
export async function insertMail(
  db: Queryable,
  mail: NewMail,
  perHour: number,
  { isLazy = false } = {},
): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO mail (mail_id, tenant_id, tenant_name, kind, state, sealed, created_at, expires_at, next_attempt_at)
     SELECT $1, $2, $3, $4, $5, $6, $7::timestamptz, $8, CASE WHEN $5 = 'queued' THEN $7::timestamptz END
     WHERE (SELECT count(*) FROM mail WHERE tenant_id = $2 AND kind = $4 AND created_at > $7::timestamptz - interval '1 hour') < $9
       ${isLazy ? `AND ${lazily}` : ''}
     RETURNING mail_id`,
    [
      mail.mailId,
      mail.tenantId,
      mail.tenantName,
      mail.kind,
      mail.state,
      mail.sealed,
      mail.createdAt,
      mail.expiresAt,
      perHour,
    ],
  );
  return rows.length > 0;
}

/** Newest first; `before`: the last one of the page before. */
export function selectMail(
  db: Queryable,
  { state, before, limit }: { state: MailState | undefined; before: MailId | undefined; limit: number },
): Promise<MailRow[]> {
  return db.query<MailRow>(
    `SELECT ${columns} FROM mail
     WHERE ($1::text IS NULL OR state = $1)
       AND ($2::text IS NULL OR (created_at, mail_id) < (SELECT b.created_at, b.mail_id FROM mail b WHERE b.mail_id = $2))
     ORDER BY created_at DESC, mail_id DESC LIMIT $3`,
    [state ?? null, before ?? null, limit],
  );
}

export async function findMail(db: Queryable, mailId: string): Promise<MailRow | undefined> {
  const [row] = await db.query<MailRow>(`SELECT ${columns} FROM mail WHERE mail_id = $1`, [mailId]);
  return row;
}

/**
 * Whatever must not go out by itself any more: links of a tenant that is called differently by now (renamed, or exchanged for a restored
 * one) are held, and what has taken too long is given up.
 */
export async function setAside(db: Queryable, now: Date): Promise<void> {
  await db.query(
    `UPDATE mail SET state = 'held', next_attempt_at = NULL, problem = 'The tenant is called differently since it was written.'
     FROM tenants t WHERE mail.state = 'queued' AND t.tenant_id = mail.tenant_id AND t.name <> mail.tenant_name`,
  );
  await db.query(
    `UPDATE mail SET state = 'failed', next_attempt_at = NULL, problem = coalesce(problem, 'It could not be sent in time.')
     WHERE state = 'queued' AND expires_at <= $1`,
    [now],
  );
}

/**
 * Claims what is due, of active tenants only: each row is one attempt, counted before it begins. What `setAside` would take is passed over, because much may
 * have happened since it was last called.
 */
export function claimDue(db: Queryable, now: Date, limit: number): Promise<MailRow[]> {
  return db.query<MailRow>(
    `UPDATE mail SET state = 'sending', attempts = attempts + 1, next_attempt_at = NULL, claimed_at = $1
     WHERE mail_id IN (
       SELECT m.mail_id FROM mail m JOIN tenants t ON t.tenant_id = m.tenant_id AND t.state = 'active'
         LEFT JOIN (SELECT tenant_id, count(*) AS messages FROM mail WHERE state = 'sending' GROUP BY tenant_id) under_way
           ON under_way.tenant_id = m.tenant_id
       WHERE m.state = 'queued' AND m.next_attempt_at <= $1 AND m.expires_at > $1 AND t.name = m.tenant_name
       ORDER BY coalesce(under_way.messages, 0), m.kind <> 'password_reset', m.next_attempt_at LIMIT $2 FOR UPDATE OF m SKIP LOCKED)
     RETURNING ${columns}`,
    [now, limit],
  );
}

/** When the next attempt is due that `claimDue` may claim, of whatever tenant. */
export async function nextDueAt(db: Queryable, now: Date): Promise<Date | undefined> {
  const [row] = await db.query<{ at: Date | null }>(
    `SELECT min(m.next_attempt_at) AS at FROM mail m JOIN tenants t ON t.tenant_id = m.tenant_id AND t.state = 'active'
     WHERE m.state = 'queued' AND m.expires_at > $1 AND t.name = m.tenant_name`,
    [now],
  );
  return row?.at ?? undefined;
}

/** An attempt is named by its number: what became of an older one changes nothing. */
export async function recordSent(
  db: Queryable,
  { mailId, attempts }: Pick<MailRow, 'mailId' | 'attempts'>,
  now: Date,
  sealed: Buffer,
): Promise<void> {
  await db.query(
    `UPDATE mail SET state = 'sent', claimed_at = NULL, sent_at = $3, sealed = $4, problem = NULL
     WHERE mail_id = $1 AND attempts = $2 AND state = 'sending'`,
    [mailId, attempts, now, sealed],
  );
}

/** @param nextAttemptAt undefined: nobody tries again */
export async function recordProblem(
  db: Queryable,
  { mailId, attempts }: Pick<MailRow, 'mailId' | 'attempts'>,
  problem: string,
  nextAttemptAt: Date | undefined,
): Promise<void> {
  await db.query(
    `UPDATE mail SET state = CASE WHEN $4::timestamptz IS NULL THEN 'failed' ELSE 'queued' END, claimed_at = NULL, next_attempt_at = $4, problem = $3
     WHERE mail_id = $1 AND attempts = $2 AND state = 'sending'`,
    [mailId, attempts, problem, nextAttemptAt ?? null],
  );
}

/** Attempts whose end nobody wrote down, because the process died or the database was away: they are made again, under the same Message-ID. `claimedBefore` undefined: all. */
export async function releaseClaims(db: Queryable, claimedBefore: Date | undefined, now: Date): Promise<number> {
  const rows = await db.query(
    `UPDATE mail SET state = 'queued', claimed_at = NULL, next_attempt_at = $2
     WHERE state = 'sending' AND ($1::timestamptz IS NULL OR claimed_at <= $1) RETURNING mail_id`,
    [claimedBefore ?? null, now],
  );
  return rows.length;
}

export async function holdAll(db: Queryable, problem: string): Promise<number> {
  const rows = await db.query(
    `UPDATE mail SET state = 'held', claimed_at = NULL, next_attempt_at = NULL, problem = $1
     WHERE state IN ('queued', 'sending') RETURNING mail_id`,
    [problem],
  );
  return rows.length;
}

/** A person wants it sent. @returns false when it is not in a state for that */
export async function requeueMail(db: Queryable, mailId: string, now: Date): Promise<boolean> {
  const rows = await db.query(
    `UPDATE mail SET state = 'queued', next_attempt_at = $2
     WHERE mail_id = $1 AND state IN ('kept', 'failed', 'held') AND expires_at > $2
       AND tenant_name = (SELECT t.name FROM tenants t WHERE t.tenant_id = mail.tenant_id)
     RETURNING mail_id`,
    [mailId, now],
  );
  return rows.length > 0;
}

/** What is old, and all of tenants that are no more. */
export async function deleteOldMail(db: Queryable, createdBefore: Date): Promise<number> {
  const rows = await db.query(
    `DELETE FROM mail USING tenants t
     WHERE t.tenant_id = mail.tenant_id AND (mail.created_at < $1 OR t.state = 'deleted') RETURNING mail_id`,
    [createdBefore],
  );
  return rows.length;
}

/** Those whose link another one has replaced; what is on its way goes on. */
export async function deleteUnsent(db: Queryable, tenantId: TenantId, kind: string): Promise<void> {
  await db.query(
    `DELETE FROM mail WHERE tenant_id = $1 AND kind = $2 AND state IN ('kept', 'queued', 'failed', 'held')`,
    [tenantId, kind],
  );
}
