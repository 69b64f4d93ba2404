import type { Id, UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { Role } from '../types.ts';

export interface InvitationRow {
  readonly invitationId: Id<'inv'>;
  readonly email: string;
  readonly emailKey: string;
  readonly name: string | null;
  readonly role: Role;
  readonly invitedBy: string;
  readonly inviterName: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

const columns = `invitation_id AS "invitationId", email, email_key AS "emailKey", name, role, invited_by AS "invitedBy",
  (SELECT u.name FROM freehold.users u WHERE u.user_id = invited_by) AS "inviterName",
  created_at AS "createdAt", expires_at AS "expiresAt"`;

export interface NewInvitation {
  readonly invitationId: Id<'inv'>;
  readonly tokenHash: Buffer;
  readonly email: string;
  readonly emailKey: string;
  readonly name: string | undefined;
  readonly role: Role;
  readonly invitedBy: string;
  readonly lifetimeSeconds: number;
  /** Only owners may take back what makes an owner, also by inviting the same address anew. */
  readonly mayReplaceOwner: boolean;
}

/**
 * A second invitation of the same address replaces the first: its link stops working.
 * Undefined: there is one that would make an owner, and it may not be replaced.
 */
export async function upsertInvitation(db: Queryable, invitation: NewInvitation): Promise<InvitationRow | undefined> {
  const [row] = await db.query<InvitationRow>(
    `INSERT INTO freehold.invitations (invitation_id, token_hash, email, email_key, name, role, invited_by, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))
     ON CONFLICT (email_key) DO UPDATE SET
       invitation_id = excluded.invitation_id, token_hash = excluded.token_hash, email = excluded.email, name = excluded.name,
       role = excluded.role, invited_by = excluded.invited_by, created_at = now(), expires_at = excluded.expires_at
     WHERE $9 OR invitations.role <> 'owner' OR invitations.expires_at <= now()
     RETURNING ${columns}`,
    [
      invitation.invitationId,
      invitation.tokenHash,
      invitation.email,
      invitation.emailKey,
      invitation.name ?? null,
      invitation.role,
      invitation.invitedBy,
      invitation.lifetimeSeconds,
      invitation.mayReplaceOwner,
    ],
  );
  return row;
}

export async function findInvitationByToken(db: Queryable, tokenHash: Buffer): Promise<InvitationRow | undefined> {
  const [row] = await db.query<InvitationRow>(
    `SELECT ${columns} FROM freehold.invitations WHERE token_hash = $1 AND expires_at > now()`,
    [tokenHash],
  );
  return row;
}

export function selectInvitations(db: Queryable): Promise<InvitationRow[]> {
  return db.query<InvitationRow>(
    `SELECT ${columns} FROM freehold.invitations WHERE expires_at > now() ORDER BY created_at DESC, invitation_id`,
  );
}

export async function findInvitationRole(db: Queryable, invitationId: string): Promise<Role | undefined> {
  const [row] = await db.query<{ role: Role }>('SELECT role FROM freehold.invitations WHERE invitation_id = $1', [
    invitationId,
  ]);
  return row?.role;
}

export async function deleteInvitation(db: Queryable, invitationId: string): Promise<string | undefined> {
  const [row] = await db.query<{ email: string }>(
    'DELETE FROM freehold.invitations WHERE invitation_id = $1 RETURNING email',
    [invitationId],
  );
  return row?.email;
}

/**
 * Turns the invitation into a user in one statement: of many who present the token at once, one deletes the row and the others find none.
 * Undefined: no such invitation now. `userId` undefined: consumed, but there is a user with this address (the caller rolls back).
 */
export async function consumeInvitation(
  db: Queryable,
  tokenHash: Buffer,
  user: { userId: UserId; name: string; passwordHash: string },
): Promise<{ userId: UserId | undefined; invitationId: Id<'inv'>; invitedBy: string } | undefined> {
  const [row] = await db.query<{ userId: UserId | null; invitationId: Id<'inv'>; invitedBy: string }>(
    `WITH consumed AS (
       DELETE FROM freehold.invitations WHERE token_hash = $1 AND expires_at > now()
       RETURNING invitation_id, email, email_key, role, invited_by
     ), made AS (
       -- Whoever accepts is signed in by it.
       INSERT INTO freehold.users (user_id, email, email_key, name, role, password_hash, last_sign_in_at)
       SELECT $2, email, email_key, $3, role, $4, now() FROM consumed
       ON CONFLICT (email_key) DO NOTHING
       RETURNING user_id
     )
     SELECT made.user_id AS "userId", consumed.invitation_id AS "invitationId", consumed.invited_by AS "invitedBy"
     FROM consumed LEFT JOIN made ON true`,
    [tokenHash, user.userId, user.name, user.passwordHash],
  );
  return row && { ...row, userId: row.userId ?? undefined };
}

/** Whatever must not live on in a copy of the database. */
export async function deleteSecrets(db: Queryable): Promise<void> {
  await db.query('DELETE FROM freehold.sessions');
  await db.query('DELETE FROM freehold.api_tokens');
  await db.query('DELETE FROM freehold.plugin_tokens');
  await db.query('DELETE FROM freehold.scim_tokens');
  await db.query('DELETE FROM freehold.session_notices');
  await db.query('DELETE FROM freehold.invitations');
  await db.query('DELETE FROM freehold.password_resets');
  await db.query('DELETE FROM freehold.known_devices');
  await db.query('DELETE FROM freehold.sign_in_failures');
  await db.query('DELETE FROM freehold.totp_factors');
  await db.query('DELETE FROM freehold.recovery_codes');
  await db.query('DELETE FROM freehold.sign_in_challenges');
  await db.query('DELETE FROM freehold.passkeys');
  await db.query('DELETE FROM freehold.passkey_users');
  await db.query('DELETE FROM freehold.passkey_challenges');
  // Codes and access tokens of the provider went with their sessions.
  await db.query('DELETE FROM freehold.provider_keys');
  // The app makes its own anew: what one signs under them in the copy must be worth nothing in the original.
  await db.query('DELETE FROM freehold.app_secrets');
  // Connections stay, off, without their secrets (which are sealed for the other tenant), and with nothing proven: an owner of the copy decides.
  await db.query('DELETE FROM freehold.sign_on_requests');
  await db.query('DELETE FROM freehold.saml_messages');
  await db.query('DELETE FROM freehold.sign_on_policy');
  await db.query('DELETE FROM freehold.break_glass_owners');
  await db.query(`UPDATE freehold.sign_on_connections SET state = 'off', sealed_secret = NULL, last_test = NULL`);
  await db.query('UPDATE freehold.sign_on_domains SET proven_at = NULL');
}
