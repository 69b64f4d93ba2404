import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Identity } from '../identity.ts';
import { createWorker } from '../sessions/browser.fixture.ts';
import { hashApiToken } from '../tokens/api-token.ts';
import { cookieHeaderOf, goodPassword, started, startTwoTenants, type TwoTenants } from '../two-tenants.fixture.ts';
import type { Session } from '../types.ts';
import { FactorUser } from './factor-user.fixture.ts';
import type { RequiredOf } from './second-factor-policy.ts';

let two: TwoTenants;
let workers: readonly Identity[];
let people: Record<'owner' | 'admin' | 'member', { user: FactorUser; session: Session; header: string }>;
before(async () => {
  two = await startTwoTenants();
});
after(async () => {
  await two?.stop();
});
beforeEach(async () => {
  workers = [two.identity, createWorker(two), createWorker(two)];
  const person = async (role: 'owner' | 'admin' | 'member') => {
    const user = await FactorUser.create(two, role);
    const { session, setCookies } = await started(user.enter());
    return { user, session, header: cookieHeaderOf(setCookies) };
  };
  people = { owner: await person('owner'), admin: await person('admin'), member: await person('member') };
  await people.owner.user.query(two.a, 'DELETE FROM freehold.second_factor_policy');
});

const actorOf = ({ session }: { session: Session }) => ({ session, address: '192.0.2.1' });
const choose = (requiredOf: RequiredOf, password = goodPassword, by: { session: Session } = people.owner) =>
  two.identity.setSecondFactorPolicy(two.a.tenantId, actorOf(by), requiredOf, { password });
/** Of each role, whether every worker says so at the very next request. */
async function mustEnrol(tenant = two.a): Promise<Record<string, boolean>> {
  const found: Record<string, boolean> = {};
  for (const [role, { header }] of Object.entries(people)) {
    const said = await Promise.all(workers.map((worker) => worker.authenticate(tenant.tenantId, header)));
    assert.equal(new Set(said.map((session) => session!.mustEnrol)).size, 1, `the workers agree about ${role}`);
    found[role] = said[0]!.mustEnrol === true;
  }
  return found;
}

test('who must have a second factor is said by the very next request at every worker', async () => {
  assert.deepEqual(await mustEnrol(), { owner: false, admin: false, member: false });
  await choose('admins');
  assert.deepEqual(await mustEnrol(), { owner: true, admin: true, member: false });
  await choose('everyone');
  assert.deepEqual(await mustEnrol(), { owner: true, admin: true, member: true });
  const { recoveryCodes, header, session } = await people.member.user.enrol();
  people.member = { ...people.member, header, session };
  assert.deepEqual(await mustEnrol(), { owner: true, admin: true, member: false });
  await two.identity.removeSecondFactor(
    two.a.tenantId,
    actorOf(people.member),
    { password: goodPassword, code: recoveryCodes[0]! },
    {},
  );
  assert.deepEqual(await mustEnrol(), { owner: true, admin: true, member: true });
  await choose('off');
  assert.deepEqual(await mustEnrol(), { owner: false, admin: false, member: false });
});

test('what is presumed does not outlive the policy, streams end, API tokens wait', async () => {
  const { member } = people;
  const { tenantId } = two.a;
  const { token } = await two.identity.createApiToken(
    tenantId,
    actorOf(member),
    { name: 'nightly', scope: 'read', password: goodPassword },
    {},
  );
  const isTokenGood = async () => (await two.identity.checkApiToken(tenantId, hashApiToken(token)!, {})) !== undefined;
  const isLive = () => two.identity.isSessionLive(tenantId, member.session.sessionId);
  assert.deepEqual([await isTokenGood(), await isLive()], [true, true]);
  const worker = workers[1]!;
  await worker.authenticate(tenantId, member.header);
  const presumed = worker.presume(tenantId, member.header)!;
  await choose('everyone');
  const rows = await two.databases.app.read(tenantId, (db) =>
    db.query<object>(presumed.check.text, [...presumed.check.values]),
  );
  const confirmed = presumed.read(rows)!;
  assert.notEqual(confirmed, presumed.session);
  assert.equal(confirmed.mustEnrol, true);
  assert.deepEqual([await isTokenGood(), await isLive()], [false, false]);
  await choose('admins');
  assert.deepEqual([await isTokenGood(), await isLive()], [true, true]);
});

test('an owner chooses, with the password; what was chosen and what was refused is recorded', async () => {
  await assert.rejects(choose('everyone', 'wrong'), { code: 'FH_PASSWORD_WRONG' });
  for (const by of [people.admin, people.member])
    await assert.rejects(choose('everyone', goodPassword, by), { code: 'FH_ROLE_REQUIRED' });
  assert.deepEqual(await mustEnrol(), { owner: false, admin: false, member: false });
  await choose('everyone');
  await choose('everyone');
  const events = (name: string) =>
    people.owner.user.query<{ details: object }>(two.a, 'SELECT details FROM freehold.audit_events WHERE name = $1', [
      name,
    ]);
  const changes = await events('tenant.second_factor_policy_changed');
  assert.deepEqual(changes.at(-1)!.details, { from: 'off', to: 'everyone' });
  assert.equal((await events('tenant.second_factor_policy_refused')).length, 3);
  const { userId } = people.admin.user;
  people.admin = { ...people.admin, ...(await people.admin.user.enrol()) };
  const policy = await two.identity.getSecondFactorPolicy(two.a.tenantId, actorOf(people.admin));
  assert.equal(policy.requiredOf, 'everyone');
  assert.ok(policy.enrolled.includes(userId));
  assert.ok(!policy.enrolled.includes(people.member.user.userId));
  await assert.rejects(two.identity.getSecondFactorPolicy(two.a.tenantId, actorOf(people.member)), {
    code: 'FH_ROLE_REQUIRED',
  });
  // The other tenant, whose users have the same ids, asks nobody.
  const twin = await started(people.member.user.enter(goodPassword, people.member.user.caller(), two.b));
  const seen = await two.identity.authenticate(two.b.tenantId, cookieHeaderOf(twin.setCookies));
  assert.equal(seen!.mustEnrol, undefined);
});

test('somebody who is new, or has another role, must as well', async () => {
  await choose('admins');
  const { owner, member } = people;
  people.owner = { ...owner, ...(await owner.user.enrol()) };
  await two.identity.setRole(two.a.tenantId, actorOf(people.owner), member.user.userId, 'admin');
  const { setCookies } = await started(member.user.enter());
  const seen = await two.identity.authenticate(two.a.tenantId, cookieHeaderOf(setCookies));
  assert.equal(seen!.mustEnrol, true);
});
