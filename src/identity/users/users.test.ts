import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { StartedSession } from '../sessions/session-start.ts';
import {
  cookieHeaderOf,
  goodPassword,
  started,
  startTwoTenants,
  type TestTenant,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import type { Role } from '../types.ts';
import { createDemoUser, createFirstInvitation, stripClone } from './lifecycle.ts';

let two: TwoTenants;
before(async () => {
  two = await startTwoTenants();
});
after(() => two?.stop());

const people = { owner: 'olga@example.com', admin: 'adam@example.com', member: 'mia@example.com' } as const;
const ids = new Map<string, string>();
function transact<T>(tenant: TestTenant, text: string, values?: unknown[]) {
  return two.databases.platform.transact(tenant.tenantId, (db) => db.query<T>(text, values));
}

beforeEach(async () => {
  for (const tenant of [two.a, two.b]) {
    await transact(tenant, 'DELETE FROM freehold.users');
    await transact(tenant, 'DELETE FROM freehold.invitations');
    await transact(tenant, 'DELETE FROM freehold.sign_in_failures');
    for (const [role, email] of Object.entries(people)) {
      const userId = await two.databases.platform.transact(tenant.tenantId, (db) =>
        createDemoUser(db, { email, name: role, role: role as Role, password: goodPassword }),
      );
      if (tenant === two.a) ids.set(role, userId);
      else await transact(tenant, 'UPDATE freehold.users SET user_id = $1 WHERE user_id = $2', [ids.get(role), userId]);
    }
  }
});

const signIn = (email: string, tenant = two.a): Promise<StartedSession> =>
  started(two.identity.signIn(tenant.tenantId, { email, password: goodPassword }, { address: '192.0.2.1' }));
const accept = (
  token: string,
  {
    tenant = two.a,
    password = 'nine quiet rivers bend',
    name,
  }: { tenant?: TestTenant; password?: string; name?: string } = {},
) => two.identity.acceptInvitation(tenant.tenantId, tenant.route, { token, password, name }, { address: '192.0.2.1' });

test('disabling and another role count for the very next request, in this tenant only', async () => {
  const owner = await signIn(people.owner);
  const target = ids.get('member')!;
  for (const change of [
    () => two.identity.setRole(two.a.tenantId, owner, target, 'admin'),
    () => two.identity.setUserState(two.a.tenantId, owner, target, 'disabled'),
  ]) {
    const header = cookieHeaderOf((await signIn(people.member)).setCookies);
    const inB = cookieHeaderOf((await signIn(people.member, two.b)).setCookies);
    assert.ok(await two.identity.authenticate(two.a.tenantId, header));
    await change();
    assert.equal(await two.identity.authenticate(two.a.tenantId, header), undefined);
    assert.equal((await two.identity.authenticate(two.b.tenantId, inB))?.user.role, 'member');
  }
  await assert.rejects(signIn(people.member), { code: 'FH_SIGN_IN_FAILED' });
  await two.identity.setUserState(two.a.tenantId, owner, target, 'active');
  assert.equal((await signIn(people.member)).session.user.role, 'admin');
});

test('who may change whom', async () => {
  const [owner, admin, member] = [await signIn(people.owner), await signIn(people.admin), await signIn(people.member)];
  const id = (role: Role) => ids.get(role)!;
  const denied = { code: 'FH_ROLE_REQUIRED' };
  const { tenantId } = two.a;
  await assert.rejects(two.identity.setRole(tenantId, member, id('member'), 'admin'), denied);
  await assert.rejects(two.identity.setRole(tenantId, member, id('admin'), 'member'), denied);
  await assert.rejects(two.identity.setRole(tenantId, admin, id('admin'), 'owner'), denied);
  await assert.rejects(two.identity.setRole(tenantId, admin, id('owner'), 'member'), denied);
  await assert.rejects(two.identity.setUserState(tenantId, admin, id('owner'), 'disabled'), denied);
  await assert.rejects(two.identity.setUserState(tenantId, member, id('admin'), 'disabled'), denied);
  await assert.rejects(
    two.identity.createInvitation(tenantId, member, { email: 'x@example.com', role: 'member' }),
    denied,
  );
  await assert.rejects(
    two.identity.createInvitation(tenantId, admin, { email: 'x@example.com', role: 'owner' }),
    denied,
  );
  await assert.rejects(two.identity.setRole(tenantId, owner, 'usr_nobody', 'member'), { code: 'FH_USER_NOT_FOUND' });
  const { invitation, token } = await two.identity.createInvitation(tenantId, owner, {
    email: 'x@example.com',
    role: 'owner',
  });
  await assert.rejects(two.identity.revokeInvitation(tenantId, admin, invitation.invitationId), denied);
  // Inviting the address anew would take the owner's link back just as well.
  const again = { email: invitation.email, role: 'member' } as const;
  await assert.rejects(two.identity.createInvitation(tenantId, admin, again), denied);
  assert.equal((await two.identity.getInvitation(tenantId, token)).role, 'owner');
  await two.identity.setRole(tenantId, admin, id('member'), 'admin');
  await two.identity.setUserState(tenantId, admin, id('member'), 'disabled');
});

test('a right that was taken away between the door and the act is gone', async () => {
  const admin = await signIn(people.admin);
  await transact(two.a, `UPDATE freehold.users SET role = 'member' WHERE user_id = $1`, [ids.get('admin')]);
  await assert.rejects(two.identity.setRole(two.a.tenantId, admin, ids.get('member')!, 'admin'), {
    code: 'FH_ROLE_REQUIRED',
  });
  await transact(two.a, `UPDATE freehold.users SET state = 'disabled' WHERE user_id = $1`, [ids.get('admin')]);
  await assert.rejects(two.identity.setOwnName(two.a.tenantId, admin, 'New name'), { code: 'FH_SESSION_REQUIRED' });
});

test('the last active owner stays, also when two owners remove each other at once', async () => {
  const owner = await signIn(people.owner);
  const { tenantId } = two.a;
  const ownerId = ids.get('owner')!;
  for (const act of [
    two.identity.setRole(tenantId, owner, ownerId, 'member'),
    two.identity.setUserState(tenantId, owner, ownerId, 'disabled'),
  ])
    await assert.rejects(act, { code: 'FH_LAST_OWNER' });
  for (let round = 0; round < 5; round++) {
    await transact(two.a, `UPDATE freehold.users SET role = 'owner', state = 'active' WHERE user_id = ANY ($1)`, [
      [ownerId, ids.get('admin')],
    ]);
    const [first, second] = [await signIn(people.owner), await signIn(people.admin)];
    const results = await Promise.allSettled([
      two.identity.setRole(tenantId, first, ids.get('admin')!, 'member'),
      two.identity.setUserState(tenantId, second, ownerId, 'disabled'),
    ]);
    const [{ owners } = { owners: -1 }] = await transact<{ owners: number }>(
      two.a,
      `SELECT count(*)::int AS owners FROM freehold.users WHERE role = 'owner' AND state = 'active'`,
    );
    assert.equal(owners, 1);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  }
});

test('an invitation becomes one user, whoever presents it at the same time', async () => {
  const owner = await signIn(people.owner);
  const invitee = { email: 'New.Person@example.com', role: 'admin' as const };
  const { token, invitation } = await two.identity.createInvitation(two.a.tenantId, owner, invitee);
  assert.equal((await two.identity.getInvitation(two.a.tenantId, token)).inviterName, 'owner');
  await assert.rejects(two.identity.getInvitation(two.b.tenantId, token), { code: 'FH_INVITATION_NOT_FOUND' });
  await assert.rejects(accept(token, { tenant: two.b }), { code: 'FH_INVITATION_NOT_FOUND' });
  await assert.rejects(accept(token, { password: 'x' }), { code: 'FH_PASSWORD_REFUSED' });
  await assert.rejects(accept(token, { password: 'new.person 2026 !' }), { code: 'FH_PASSWORD_REFUSED' });

  const results = await Promise.allSettled(Array.from({ length: 100 }, () => accept(token)));
  const accepted = results.filter((result) => result.status === 'fulfilled');
  assert.equal(accepted.length, 1);
  for (const result of results)
    if (result.status === 'rejected') assert.match(result.reason.code, /^FH_(INVITATION_NOT_FOUND|BUSY)$/);
  const { session, setCookies } = accepted[0]!.value;
  assert.equal(session.user.name, 'New.Person');
  assert.equal(session.user.role, 'admin');
  assert.deepEqual(await two.identity.authenticate(two.a.tenantId, cookieHeaderOf(setCookies)), session);
  await assert.rejects(accept(token), { code: 'FH_INVITATION_NOT_FOUND' });
  const users = await two.identity.listUsers(two.a.tenantId);
  assert.equal(users.filter(({ email }) => email === invitee.email).length, 1);
  const { events } = await two.identity.listAuditEvents(two.a.tenantId, { name: 'user.invitation_accepted' });
  assert.equal(events[0]!.details.invitationId, invitation.invitationId);
  await assert.rejects(
    two.identity.createInvitation(two.a.tenantId, owner, { email: 'new.person@EXAMPLE.com', role: 'member' }),
    { code: 'FH_USER_EXISTS' },
  );
});

test('a second invitation replaces the first; withdrawn, old and malformed ones answer alike', async () => {
  const owner = await signIn(people.owner);
  const invite = () => two.identity.createInvitation(two.a.tenantId, owner, { email: 'n@example.com', role: 'member' });
  const first = await invite();
  const second = await invite();
  const gone = { code: 'FH_INVITATION_NOT_FOUND' };
  await assert.rejects(accept(first.token), gone);
  assert.equal((await two.identity.listInvitations(two.a.tenantId)).length, 1);
  await two.identity.revokeInvitation(two.a.tenantId, owner, second.invitation.invitationId);
  await assert.rejects(accept(second.token), gone);
  await assert.rejects(two.identity.revokeInvitation(two.a.tenantId, owner, second.invitation.invitationId), gone);
  const third = await invite();
  await transact(two.a, `UPDATE freehold.invitations SET expires_at = now() - interval '1 second'`);
  await assert.rejects(accept(third.token), gone);
  assert.deepEqual(await two.identity.listInvitations(two.a.tenantId), []);
  for (const token of [
    '',
    'x',
    '%00',
    third.token.slice(1),
    `${third.token}A`,
    third.token.toLowerCase(),
    '../../etc/passwd',
  ])
    await assert.rejects(accept(token), gone, token);
});

test('an invitation whose address became a user otherwise is not used up by the refusal', async () => {
  const owner = await signIn(people.owner);
  const { token } = await two.identity.createInvitation(two.a.tenantId, owner, {
    email: 'm@example.com',
    role: 'member',
  });
  await two.databases.platform.transact(two.a.tenantId, (db) =>
    createDemoUser(db, { email: 'M@example.com', name: 'M', role: 'member', password: goodPassword }),
  );
  await assert.rejects(accept(token), { code: 'FH_USER_EXISTS' });
  assert.equal((await two.identity.listInvitations(two.a.tenantId)).length, 1);
});

test('the first administrator: the newest link is good, and its user is owner', async () => {
  const invite = () =>
    two.databases.platform.transact(two.a.tenantId, (db) =>
      createFirstInvitation(db, { email: 'boss@example.com', role: 'owner' }),
    );
  const [first, second] = [await invite(), await invite()];
  await assert.rejects(accept(first.token), { code: 'FH_INVITATION_NOT_FOUND' });
  assert.ok(second.expiresAt.getTime() > Date.now() + 6 * 86_400_000);
  assert.equal((await two.identity.getInvitation(two.a.tenantId, second.token)).inviterName, undefined);
  assert.equal((await accept(second.token, { name: 'The Boss' })).session.user.role, 'owner');
});

test('a clone keeps users and the log, and lets nobody of the original in', async () => {
  const owner = await signIn(people.owner);
  const header = cookieHeaderOf(owner.setCookies);
  const { token } = await two.identity.createInvitation(two.a.tenantId, owner, {
    email: 'n@example.com',
    role: 'member',
  });
  await assert.rejects(two.identity.signIn(two.a.tenantId, { email: people.member, password: 'wrong' }, {}), {
    code: 'FH_SIGN_IN_FAILED',
  });
  await two.identity.requestReset(two.a.tenantId, people.owner, {});
  await two.identity.settle();
  await two.databases.platform.transact(two.a.tenantId, stripClone);
  assert.equal(await two.identity.authenticate(two.a.tenantId, header), undefined);
  await assert.rejects(accept(token), { code: 'FH_INVITATION_NOT_FOUND' });
  for (const table of ['sessions', 'invitations', 'password_resets', 'known_devices', 'sign_in_failures'])
    assert.deepEqual(await transact(two.a, `SELECT 1 FROM freehold.${table}`), [], table);
  assert.equal((await two.identity.listUsers(two.a.tenantId)).length, 3);
  assert.ok((await two.identity.listAuditEvents(two.a.tenantId)).events.length > 0);
  await signIn(people.owner);
});
