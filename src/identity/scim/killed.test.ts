/** SIGKILL at every failpoint of SCIM: a write is there whole or not at all, with its record, and a directory that repeats what it got no answer to comes to the same end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTwins, goodPassword } from '../two-tenants.fixture.ts';
import { Victims } from '../victims.fixture.ts';
import type { Provisioner } from './provisioning.ts';
import { groupUrn, newUser, patch, type ScimWorld, startScim } from './scim.fixture.ts';
import { hashScimToken } from './scim-token.ts';

// A process for each takes a second; what these leave out by default are other writes through the same two failpoints.
const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
let world: ScimWorld;
let victims: Victims;
before(async () => {
  world = await startScim();
  victims = new Victims(world.two);
});
after(async () => {
  await victims?.stop();
  await world?.stop();
});

const counts = async () => {
  const of = async (tenant = world.two.a) =>
    (
      await world.query(
        tenant,
        `SELECT (SELECT count(*)::int FROM freehold.users) AS users, (SELECT count(*)::int FROM freehold.scim_users) AS names,
           (SELECT count(*)::int FROM freehold.scim_groups) AS groups, (SELECT count(*)::int FROM freehold.scim_group_members) AS members,
           (SELECT count(*)::int FROM freehold.sessions) AS sessions, (SELECT count(*)::int FROM freehold.api_tokens) AS tokens,
           (SELECT count(*)::int FROM freehold.scim_tokens) AS directories, (SELECT count(*)::int FROM freehold.audit_events) AS events`,
      )
    )[0]! as Record<string, number>;
  return { a: { ...(await of()) }, b: { ...(await of(world.two.b)) } };
};
const provisioner = async (): Promise<Provisioner> => {
  const { tenantId } = world.two.a;
  const use = await world.two.identity.checkScimToken(tenantId, hashScimToken(world.tokens.get(tenantId)!)!, {});
  return { use: use!, base: 'https://acme.localhost/-/scim/v2' };
};
const tenantId = () => world.two.a.tenantId;

test('a user who is made: nobody before the commit, one after it, and the same request again makes no second one', async () => {
  const body = newUser('made@example.com', { externalId: 'made' });
  const by = await provisioner();
  const earlier = await counts();
  await victims.die('identity.scim.before_commit', 'createScimUser', tenantId(), by, body);
  assert.deepEqual(await counts(), earlier);
  await victims.die('identity.scim.committed', 'createScimUser', tenantId(), by, body);
  const { a, b } = await counts();
  assert.deepEqual([a.users! - earlier.a.users!, a.names! - earlier.a.names!, b], [1, 1, earlier.b]);
  const again = await world.send('POST', '/Users', { body });
  assert.equal(again.status, 409);
  const found = await world.send('GET', `/Users?filter=${encodeURIComponent('userName eq "made@example.com"')}`);
  assert.equal(found.body.totalResults, 1);
});

test('a user who is disabled: sessions, tokens and state end together, or none of them', async () => {
  const email = 'leaves@example.com';
  const userId = await createTwins(world.two, email);
  const actor = await world.actor(world.two.a, email);
  const order = { name: 'x', scope: 'read', password: goodPassword } as const;
  await world.two.identity.createApiToken(tenantId(), actor, order, {});
  const by = await provisioner();
  const earlier = await counts();
  const off = patch({ op: 'replace', path: 'active', value: false });
  await victims.die('identity.scim.before_commit', 'patchScimUser', tenantId(), by, userId, off);
  assert.deepEqual(await counts(), earlier);
  assert.equal((await world.send('GET', `/Users/${userId}`)).body.active, true);
  await world.two.identity.patchScimUser(tenantId(), by, userId, off);
  const { a, b } = await counts();
  assert.deepEqual([a.sessions! - earlier.a.sessions!, a.tokens! - earlier.a.tokens!, b], [-1, -1, earlier.b]);
});

if (isSlow)
  test('groups, what they mean, and tokens of directories: whole or not at all', async () => {
    const { identity, a } = world.two;
    const userId = await createTwins(world.two, 'member@example.com');
    const by = await provisioner();
    const owner = await world.actor(a);
    const unchanged = async (act: () => Promise<void>) => {
      const earlier = await counts();
      await act();
      assert.deepEqual(await counts(), earlier);
    };
    const body = { schemas: [groupUrn], displayName: 'The works', members: [{ value: userId }] };
    await unchanged(() => victims.die('identity.scim.before_commit', 'createScimGroup', tenantId(), by, body));
    const { id } = (await identity.createScimGroup(tenantId(), by, body)) as { id: string };
    const roleOf = async () =>
      (await world.query(a, 'SELECT role FROM freehold.users WHERE user_id = $1', [userId]))[0]!.role;
    await unchanged(() =>
      victims.die('identity.scim_group.map.before_commit', 'setScimGroupRole', tenantId(), owner, id, 'admin'),
    );
    assert.equal(await roleOf(), 'member');
    await identity.setScimGroupRole(tenantId(), owner, id, 'admin');
    assert.equal(await roleOf(), 'admin');
    const off = patch({ op: 'remove', path: 'members' });
    await victims.die('identity.scim.committed', 'patchScimGroup', tenantId(), by, id, off);
    assert.equal(await roleOf(), 'member');

    const order = { name: 'Directory', password: goodPassword };
    await victims.die('identity.scim_token.create.before_commit', 'createScimToken', tenantId(), owner, order);
    const tokens = async () => (await identity.getScimSettings(tenantId(), owner)).tokens.map(({ tokenId }) => tokenId);
    const [first] = await tokens();
    assert.equal((await tokens()).length, 1);
    await victims.die('identity.scim_token.created', 'createScimToken', tenantId(), owner, order);
    const made = (await tokens()).find((one) => one !== first)!;
    await victims.die('identity.scim_token.revoke.before_commit', 'revokeScimToken', tenantId(), owner, made);
    assert.equal((await tokens()).length, 2, 'nobody has seen it, and it can be revoked');
    await victims.die('identity.scim_token.revoked', 'revokeScimToken', tenantId(), owner, made);
    assert.deepEqual(await tokens(), [first]);
  });
