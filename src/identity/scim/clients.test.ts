/** What Entra ID and Okta send, request by request, as their documentation and their logs show it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTwins } from '../two-tenants.fixture.ts';
import { enterpriseSchema } from './attributes.ts';
import { groupUrn, must, newUser, patch, patchUrn, type ScimWorld, startScim, userUrn } from './scim.fixture.ts';

let world: ScimWorld;
before(async () => {
  world = await startScim();
});
after(() => world?.stop());

const find = async (filter: string, collection = 'Users', more = '') =>
  (await must(world, 200, 'GET', `/${collection}?filter=${encodeURIComponent(filter)}${more}`)).body;
const roleOf = async (userId: string) =>
  (await world.query(world.two.a, 'SELECT role FROM freehold.users WHERE user_id = $1', [userId]))[0]!.role;

test('Entra ID: test of the connection, provisioning cycle, changes, soft deletion, deletion', async () => {
  // "Test connection": a user who cannot be there.
  const none = await find('userName eq "non-existent user"');
  assert.deepEqual([none.totalResults, none.Resources], [0, []]);
  const { body: made } = await must(world, 201, 'POST', '/Users', {
    body: {
      schemas: [userUrn, enterpriseSchema],
      externalId: '0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef',
      userName: 'anna.berg@contoso.onmicrosoft.com',
      active: true,
      displayName: 'Anna Berg',
      title: 'Engineer',
      preferredLanguage: 'sv-SE',
      emails: [{ primary: true, type: 'work', value: 'anna.berg@contoso.example' }],
      meta: { resourceType: 'User' },
      name: { formatted: 'Anna Berg', familyName: 'Berg', givenName: 'Anna' },
      phoneNumbers: [{ type: 'work', value: '+46 8 1' }],
      roles: [],
      [enterpriseSchema]: { department: 'R&D', manager: { value: 'x' } },
    },
  });
  assert.equal(made.userName, 'anna.berg@contoso.onmicrosoft.com');
  assert.equal(made.emails[0].value, 'anna.berg@contoso.example');
  assert.equal((await find(`userName eq "${made.userName}"`)).Resources[0].id, made.id);
  // Without the feature flag: booleans as text, capital operations, paths of every kind.
  const { body: changed } = await must(world, 200, 'PATCH', `/Users/${made.id}`, {
    body: patch(
      { op: 'Replace', path: 'emails[type eq "work"].value', value: 'anna@contoso.example' },
      { op: 'Replace', path: 'name.familyName', value: 'Lind' },
      { op: 'Add', path: 'displayName', value: 'Anna Lind' },
      { op: 'Add', path: `${enterpriseSchema}:department`, value: 'Sales' },
      { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '+46 70 1' },
      { op: 'Remove', path: 'title' },
    ),
  });
  assert.deepEqual(
    [changed.emails[0].value, changed.name.familyName, changed.displayName],
    ['anna@contoso.example', 'Lind', 'Anna Lind'],
  );
  const { body: byKeys } = await must(world, 200, 'PATCH', `/Users/${made.id}`, {
    body: patch({
      op: 'replace',
      value: {
        displayName: 'Anna L.',
        'name.givenName': 'Anna M.',
        'emails[type eq "work"].value': 'aml@contoso.example',
      },
    }),
  });
  assert.deepEqual(
    [byKeys.displayName, byKeys.name.givenName, byKeys.emails[0].value],
    ['Anna L.', 'Anna M.', 'aml@contoso.example'],
  );
  const off = await must(world, 200, 'PATCH', `/Users/${made.id}`, {
    body: patch({ op: 'Replace', path: 'active', value: 'False' }),
  });
  assert.equal(off.body.active, false);
  assert.equal((await find(`userName eq "${made.userName}"`)).Resources[0].active, false);
  await must(world, 204, 'DELETE', `/Users/${made.id}`);
  assert.equal((await find(`userName eq "${made.userName}"`)).totalResults, 0);
});

test('Entra ID: groups, with their members added and removed in its own ways', async () => {
  const people = [];
  for (const at of [1, 2, 3])
    people.push((await must(world, 201, 'POST', '/Users', { body: newUser(`entra${at}@example.com`) })).body);
  const [one, two, three] = people.map(({ id }) => id as string);
  assert.equal((await find('displayName eq "Engineers"', 'Groups', '&excludedAttributes=members')).totalResults, 0);
  const { body: group } = await must(world, 201, 'POST', '/Groups', {
    body: { schemas: [groupUrn], externalId: '8aa1a0c0', displayName: 'Engineers', meta: { resourceType: 'Group' } },
  });
  const change = (...operations: object[]) =>
    must(world, 204, 'PATCH', `/Groups/${group.id}`, { body: patch(...operations) });
  const members = async () =>
    (await must(world, 200, 'GET', `/Groups/${group.id}`)).body.members
      .map(({ value }: { value: string }) => value)
      .sort();
  await change({
    op: 'Add',
    path: 'members',
    value: [
      { $ref: null, value: one },
      { $ref: null, value: two },
    ],
  });
  await change({ op: 'Add', path: 'members', value: [{ value: two }, { value: three }] });
  assert.deepEqual(await members(), [one, two, three].sort());
  const isMember = async (id: string) =>
    (await find(`id eq "${group.id}" and members eq "${id}"`, 'Groups', '&excludedAttributes=members')).totalResults;
  assert.equal(await isMember(one!), 1);
  await change({ op: 'Remove', path: 'members', value: [{ $ref: null, value: one }] });
  await change({ op: 'Remove', path: `members[value eq "${two}"]` });
  assert.deepEqual(await members(), [three]);
  assert.equal(await isMember(one!), 0);
  await change({ op: 'Replace', path: 'displayName', value: 'Builders' });
  const shown = (await must(world, 200, 'GET', `/Groups/${group.id}?excludedAttributes=members`)).body;
  assert.deepEqual([shown.displayName, shown.members], ['Builders', undefined]);
  await must(world, 204, 'DELETE', `/Groups/${group.id}`);
  await must(world, 404, 'GET', `/Groups/${group.id}`);
});

test('Okta: import of who is there, create, profile push, deactivation and back, push of groups', async () => {
  const page = (await must(world, 200, 'GET', '/Users?startIndex=1&count=100')).body;
  assert.equal(page.startIndex, 1);
  const found = await find('userName eq "isaac.brock@example.com"', 'Users', '&startIndex=1&count=100');
  assert.equal(found.totalResults, 0);
  const profile = {
    schemas: [userUrn],
    userName: 'isaac.brock@example.com',
    name: { givenName: 'Isaac', familyName: 'Brock' },
    emails: [{ primary: true, value: 'isaac.brock@example.com', type: 'work' }],
    displayName: 'Isaac Brock',
    locale: 'en-US',
    externalId: '00ujl29u0le5T6Aj10h7',
    groups: [],
    password: '1mz050nq',
    active: true,
  };
  const { body: made } = await must(world, 201, 'POST', '/Users', {
    body: profile,
    headers: { 'content-type': 'application/scim+json; charset=utf-8' },
  });
  await assert.rejects(
    world.two.identity.signIn(
      world.two.a.tenantId,
      { email: profile.userName, password: '1mz050nq' },
      { address: '192.0.2.9' },
    ),
    { code: 'FH_SIGN_IN_FAILED' },
    'a password in a message is nobody’s',
  );
  const pushed = {
    ...profile,
    id: made.id,
    name: { givenName: 'Isaac', familyName: 'Wood' },
    displayName: 'Isaac Wood',
    meta: made.meta,
  };
  const { body: put } = await must(world, 200, 'PUT', `/Users/${made.id}`, { body: pushed });
  assert.deepEqual([put.displayName, put.name.familyName, put.externalId], ['Isaac Wood', 'Wood', profile.externalId]);
  for (const active of [false, true, false, true]) {
    const { body } = await must(world, 200, 'PATCH', `/Users/${made.id}`, {
      body: { schemas: [patchUrn], Operations: [{ op: 'replace', value: { active } }] },
    });
    assert.equal(body.active, active);
  }
  const { body: group } = await must(world, 201, 'POST', '/Groups', {
    body: { schemas: [groupUrn], displayName: 'Test SCIMv2', members: [] },
  });
  await must(world, 204, 'PATCH', `/Groups/${group.id}`, {
    body: patch({ op: 'replace', value: { id: group.id, displayName: 'Test SCIMv2 again' } }),
  });
  await must(world, 204, 'PATCH', `/Groups/${group.id}`, {
    body: patch(
      { op: 'remove', path: 'members[value eq "usr_00000000000000000000000000"]' },
      { op: 'add', path: 'members', value: [{ value: made.id, display: 'isaac.brock@example.com' }] },
    ),
  });
  const { body: whole } = await must(world, 200, 'PUT', `/Groups/${group.id}`, {
    body: { schemas: [groupUrn], id: group.id, displayName: 'Final', members: [{ value: made.id, display: 'x' }] },
  });
  assert.deepEqual(
    [whole.displayName, whole.members.map(({ value }: { value: string }) => value)],
    ['Final', [made.id]],
  );
  assert.deepEqual(
    (await must(world, 200, 'GET', `/Users/${made.id}`)).body.groups.map(({ display }: { display: string }) => display),
    ['Final'],
  );
});

test('groups give the role that an administrator says, never that of an owner, and take it with them', async () => {
  const { a, b } = world.two;
  const email = 'mapped@example.com';
  const userId = await createTwins(world.two, email);
  const actor = await world.actor(a);
  const make = async (displayName: string, members: string[]) =>
    (
      await must(world, 201, 'POST', '/Groups', {
        body: { schemas: [groupUrn], displayName, members: members.map((value) => ({ value })) },
      })
    ).body.id as string;
  const admins = await make('Admins', [userId, world.ownerId]);
  const everybody = await make('Everybody', [userId]);
  const map = (id: string, role: 'admin' | 'member' | null) =>
    world.two.identity.setScimGroupRole(a.tenantId, actor, id, role);
  assert.equal(await roleOf(userId), 'member', 'a group says nothing until somebody says what');
  const { setCookies } = await world.two.identity.signIn(
    a.tenantId,
    { email, password: 'seven purple lanterns drift' },
    { address: '192.0.2.9' },
  );
  const cookie = setCookies.map((line) => line.slice(0, line.indexOf(';'))).join('; ');
  await map(admins, 'admin');
  assert.equal(await roleOf(userId), 'admin');
  assert.equal(await world.two.identity.authenticate(a.tenantId, cookie), undefined, 'another role ends sessions');
  assert.equal(await roleOf(world.ownerId), 'owner');
  await map(everybody, 'member');
  assert.equal(await roleOf(userId), 'admin', 'the highest counts');
  await must(world, 204, 'PATCH', `/Groups/${admins}`, {
    body: patch({ op: 'remove', path: `members[value eq "${userId}"]` }),
  });
  assert.equal(await roleOf(userId), 'member');
  await must(world, 204, 'PATCH', `/Groups/${admins}`, {
    body: patch({ op: 'add', path: 'members', value: [{ value: userId }] }),
  });
  assert.equal(await roleOf(userId), 'admin');
  await must(world, 204, 'DELETE', `/Groups/${admins}`);
  assert.equal(await roleOf(userId), 'member');
  assert.equal(await roleOf(world.ownerId), 'owner');
  const rows = await world.query(b, 'SELECT role FROM freehold.users WHERE user_id = $1', [userId]);
  assert.deepEqual(rows, [{ role: 'member' }]);
  await assert.rejects(map(admins, 'admin'), { code: 'FH_SCIM_NOT_FOUND' });
  const events = await world.query(
    a,
    `SELECT actor, details FROM freehold.audit_events WHERE name = 'user.role_changed' AND subject = $1 ORDER BY position`,
    [userId],
  );
  assert.deepEqual(
    events.map(({ actor: who, details }) => [String(who).slice(0, 5), (details as { to: string }).to]),
    [
      ['user:', 'admin'],
      ['scim:', 'member'],
      ['scim:', 'admin'],
      ['scim:', 'member'],
    ],
  );
});
