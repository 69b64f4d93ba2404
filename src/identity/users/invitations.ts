import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Id, newId, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import type { PasswordQueue } from '../passwords/hash-queue.ts';
import type { PasswordRules } from '../passwords/password-rules.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import type { BrowserCookies, Caller } from '../sessions/browser.ts';
import { hashToken, newToken, tokenBytes } from '../sessions/cookie.ts';
import { type StartedSession, startSession } from '../sessions/session-start.ts';
import { findUserByEmail, findUserById } from '../sql.ts';
import { signOnErrors } from '../sso/errors.ts';
import { maySignInHere } from '../sso/sign-on-policy.ts';
import type { Role } from '../types.ts';
import { nameFromEmail, parseEmail, parsePersonName } from './email.ts';
import {
  consumeInvitation,
  deleteInvitation,
  findInvitationByToken,
  findInvitationRole,
  type InvitationRow,
  selectInvitations,
  upsertInvitation,
} from './invitations-sql.ts';
import type { UserMail } from './user-mail.ts';

export interface Invitation {
  readonly invitationId: Id<'inv'>;
  readonly email: string;
  readonly name: string | undefined;
  readonly role: Role;
  /** A user id, or `system`. */
  readonly invitedBy: string;
  /** Undefined when the operator invited, or when the user is gone. */
  readonly inviterName: string | undefined;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

export interface Invitee {
  readonly email: string;
  readonly name?: string | undefined;
  readonly role: Role;
}

/** Words of the tenant that make a bad password. */
export interface TenantWords {
  readonly name: string;
  readonly title: string;
}

export interface Invitations {
  /** The token is in the answer and in the mail to the invited, and nowhere else; a second invitation of the same address replaces the first. */
  createInvitation(
    tenantId: TenantId,
    actor: Actor,
    invitee: Invitee,
  ): Promise<{ invitation: Invitation; token: string }>;
  /** Throws FH_INVITATION_NOT_FOUND, the same for used, withdrawn, expired and never made. */
  getInvitation(tenantId: TenantId, token: string): Promise<Invitation>;
  /** Makes the user and signs them in: whoever holds the link and has just chosen the password has nothing left to prove. Works once. */
  acceptInvitation(
    tenantId: TenantId,
    tenant: TenantWords,
    acceptance: { token: string; name?: string | undefined; password: string },
    caller: Caller,
  ): Promise<StartedSession>;
  listInvitations(tenantId: TenantId): Promise<Invitation[]>;
  revokeInvitation(tenantId: TenantId, actor: Actor, invitationId: string): Promise<void>;
}

const lifetimeSeconds = 7 * 86_400;

export function createInvitations(
  databases: TenantDatabases,
  cookies: BrowserCookies,
  queue: PasswordQueue,
  rules: PasswordRules,
  userMail: UserMail,
): Invitations {
  async function getByToken(tenantId: TenantId, tokenHash: Buffer): Promise<InvitationRow> {
    const invitation = await databases.platform.read(tenantId, (db) => findInvitationByToken(db, tokenHash));
    if (!invitation) throw identityErrors.FH_INVITATION_NOT_FOUND();
    return invitation;
  }

  return {
    async createInvitation(tenantId, actor, invitee) {
      const made = await databases.platform.transact(tenantId, async (db) => {
        const inviter = await requireRole(db, actor, administrators, [invitee.role]);
        return insertInvitation(db, invitee, {
          invitedBy: inviter.userId,
          mayReplaceOwner: inviter.role === 'owner',
          address: actor.address,
        });
      });
      const { email: to, name, expiresAt } = made.invitation;
      const invitedBy = actor.session.user.name;
      userMail.send(tenantId, {
        kind: 'invitation',
        to,
        name,
        invitedBy,
        token: made.token,
        expiresAt: expiresAt.toISOString(),
      });
      return made;
    },

    getInvitation: async (tenantId, token) => toInvitation(await getByToken(tenantId, hashInvitationToken(token))),

    acceptInvitation: (tenantId, tenant, { token, name, password }, caller) =>
      queue.admit(async () => {
        const tokenHash = hashInvitationToken(token);
        const invitation = await getByToken(tenantId, tokenHash);
        const { email } = invitation;
        const chosenName = name === undefined ? (invitation.name ?? nameFromEmail(email)) : parsePersonName(name);
        const context = { email, name: chosenName, tenant: [tenant.name, tenant.title] };
        // Everything that may be refused or take long comes before the token is used up.
        const passwordHash = await queue.hash(await rules.parseNew(password, context));
        return databases.platform.transact(tenantId, async (db) => {
          const made = await consumeInvitation(db, tokenHash, { userId: newId('usr'), name: chosenName, passwordHash });
          if (!made) throw identityErrors.FH_INVITATION_NOT_FOUND();
          if (!made.userId) throw identityErrors.FH_USER_EXISTS();
          const user = (await findUserById(db, made.userId))!;
          if (!(await maySignInHere(db, user.userId))) throw signOnErrors.FH_SIGN_ON_REQUIRED();
          await recordTenantAudit(db, {
            name: 'user.invitation_accepted',
            actor: `user:${user.userId}`,
            subject: user.userId,
            address: caller.address,
            details: { invitationId: made.invitationId, invitedBy: made.invitedBy, role: user.role },
          });
          return startSession(db, cookies, tenantId, user, caller);
        });
      }),

    listInvitations: async (tenantId) => {
      const rows = await databases.platform.read(tenantId, selectInvitations);
      return rows.map(toInvitation);
    },

    revokeInvitation: (tenantId, actor, invitationId) =>
      databases.platform.transact(tenantId, async (db) => {
        const role = await findInvitationRole(db, invitationId);
        await requireRole(db, actor, administrators, role ? [role] : []);
        const email = await deleteInvitation(db, invitationId);
        if (email === undefined) throw identityErrors.FH_INVITATION_NOT_FOUND();
        await recordTenantAudit(db, {
          name: 'user.invitation_revoked',
          actor: `user:${actor.session.user.userId}`,
          subject: invitationId,
          address: actor.address,
          details: { email },
        });
      }),
  };
}

/** Invites in the caller's transaction. */
export async function insertInvitation(
  db: Queryable,
  invitee: Invitee,
  {
    invitedBy,
    mayReplaceOwner,
    address,
  }: { invitedBy: string; mayReplaceOwner: boolean; address?: string | undefined },
): Promise<{ invitation: Invitation; token: string }> {
  const { email, emailKey } = parseEmail(invitee.email);
  const name = invitee.name === undefined ? undefined : parsePersonName(invitee.name);
  if (await findUserByEmail(db, emailKey)) throw identityErrors.FH_USER_EXISTS();
  const token = newToken();
  const row = await upsertInvitation(db, {
    invitationId: newId('inv'),
    tokenHash: hashToken(token),
    email,
    emailKey,
    name,
    role: invitee.role,
    invitedBy,
    lifetimeSeconds,
    mayReplaceOwner,
  });
  if (!row) throw identityErrors.FH_ROLE_REQUIRED({ detail: 'an owner has invited this address as an owner' });
  await recordTenantAudit(db, {
    name: 'user.invited',
    actor: invitedBy === 'system' ? 'system' : `user:${invitedBy}`,
    subject: row.invitationId,
    address,
    details: { email, role: row.role },
  });
  return { invitation: toInvitation(row), token: token.toString('base64url') };
}

function toInvitation({ emailKey: _, name, inviterName, ...row }: InvitationRow): Invitation {
  return { ...row, name: name ?? undefined, inviterName: inviterName ?? undefined };
}

function hashInvitationToken(token: string): Buffer {
  const bytes = Buffer.from(token, 'base64url');
  // Exactly one spelling of a token is good.
  if (bytes.length !== tokenBytes || bytes.toString('base64url') !== token)
    throw identityErrors.FH_INVITATION_NOT_FOUND();
  return hashToken(bytes);
}
