import { recordTenantAudit } from '#src/audit/index.ts';
import { failpoint, newId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { lockUser } from '../second-factors/second-factor-sql.ts';
import { deleteSessions, findUserByEmail, findUserById, insertUser, type UserRow, updateRole } from '../sql.ts';
import type { Role } from '../types.ts';
import { type Email, nameFromEmail, parseEmail, parsePersonName } from '../users/email.ts';
import { domainOf } from './mail-domain.ts';
import { findIdentity, insertIdentity, isDomainProven } from './people-sql.ts';
import { refusedFor, type SignOnRefused } from './reasons.ts';
import type { Connection, PeopleSettings, SignOnPerson } from './types.ts';

/** Never owner: whoever rules the provider's groups does not rule the account. Undefined: the connection gives no roles. */
export function mappedRole(settings: PeopleSettings, person: SignOnPerson): Exclude<Role, 'owner'> | undefined {
  if (settings.roleClaim === null) return undefined;
  return person.roleValues.some((value) => settings.adminValues.includes(value)) ? 'admin' : 'member';
}

/** The address, if the provider may speak for it. */
export async function judgeEmail(
  db: Queryable,
  { connectionId, settings }: Connection,
  person: SignOnPerson,
): Promise<{ readonly ok: true; readonly email: Email } | SignOnRefused> {
  if (person.email === undefined) return refusedFor('no_email');
  let email: Email;
  try {
    email = parseEmail(person.email);
  } catch {
    return refusedFor('no_email');
  }
  const domain = domainOf(email.email);
  if (domain === undefined || !(await isDomainProven(db, domain, connectionId))) return refusedFor('domain_unproven');
  const isVerified = person.isEmailVerified ?? settings.trustsEmails;
  return isVerified ? { ok: true, email } : refusedFor('email_unverified');
}

/** A name as it may be shown: what the provider calls them, if that can be a name here. */
function nameOf(person: SignOnPerson, email: string): string {
  try {
    return parsePersonName(person.name ?? nameFromEmail(email));
  } catch {
    return parsePersonName(nameFromEmail(email));
  }
}

/**
 * Whose session begins, in the transaction that uses the sign-in up: the user that the subject was linked to; otherwise, where the address is proven and verified,
 * the user with that address, or a new one. `unusedHash`: of a password that nobody knows.
 */
export async function findOrMakeUser(
  db: Queryable,
  connection: Connection,
  person: SignOnPerson,
  { unusedHash, address }: { unusedHash: string | undefined; address: string | undefined },
): Promise<{ readonly ok: true; readonly user: UserRow } | SignOnRefused | { readonly needsHash: true }> {
  const { connectionId, settings } = connection;
  const linked = await findIdentity(db, connectionId, person.subject);
  if (linked) return enter(db, connection, person, linked, address);

  const judged = await judgeEmail(db, connection, person);
  if (!judged.ok) return judged;
  const { email } = judged;
  let user = await findUserByEmail(db, email.emailKey);
  const about = { address, details: { connection: connection.name } };
  if (!user) {
    if (!settings.createsUsers) return refusedFor('no_user');
    if (unusedHash === undefined) return { needsHash: true };
    const userId = newId('usr');
    const role = mappedRole(settings, person) ?? 'member';
    const name = nameOf(person, email.email);
    if (await insertUser(db, { userId, ...email, name, role, passwordHash: unusedHash }))
      await recordTenantAudit(db, {
        ...about,
        name: 'user.created_by_sign_on',
        actor: 'system',
        subject: userId,
        details: { ...about.details, role },
      });
    await failpoint('identity.sign_on.user_made');
    // Made by somebody else at this moment, if not by us.
    user = (await findUserByEmail(db, email.emailKey))!;
  }
  if (user.state !== 'active') return refusedFor('user_disabled');
  if (!(await insertIdentity(db, connectionId, person.subject, user.userId))) {
    // The same person a moment ago, in another window; or an address that was given to somebody else.
    const winner = await findIdentity(db, connectionId, person.subject);
    return winner ? enter(db, connection, person, winner, address) : refusedFor('other_person');
  }
  await recordTenantAudit(db, { ...about, name: 'user.linked', actor: `user:${user.userId}`, subject: user.userId });
  return enter(db, connection, person, user.userId, address);
}

/** As the user is now, with the role that the provider gives. Owners are not touched. */
async function enter(
  db: Queryable,
  { name: connection, settings }: Connection,
  person: SignOnPerson,
  userId: string,
  address: string | undefined,
): Promise<{ readonly ok: true; readonly user: UserRow } | SignOnRefused> {
  await lockUser(db, userId);
  const user = (await findUserById(db, userId))!;
  if (user.state !== 'active') return refusedFor('user_disabled');
  const role = mappedRole(settings, person);
  if (role === undefined || user.role === 'owner' || user.role === role) return { ok: true, user };
  await updateRole(db, userId, role);
  await deleteSessions(db, userId);
  await recordTenantAudit(db, {
    name: 'user.role_changed',
    actor: 'system',
    subject: userId,
    address,
    details: { from: user.role, to: role, connection },
  });
  return { ok: true, user: (await findUserById(db, userId))! };
}
