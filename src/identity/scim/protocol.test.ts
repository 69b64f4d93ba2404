import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { groupUrn, must, newUser, patch, type ScimWorld, startScim, userUrn } from './scim.fixture.ts';

let world: ScimWorld;
before(async () => {
  world = await startScim();
});
after(() => world?.stop());

let serial = 0;
const fresh = () => `protocol${++serial}@example.com`;
const create = async (userName = fresh(), more: object = {}) =>
  (await must(world, 201, 'POST', '/Users', { body: newUser(userName, more) })).body;

test('a client finds out what there is', async () => {
  const { body: config, headers } = await must(world, 200, 'GET', '/ServiceProviderConfig');
  assert.match(String(headers['content-type']), /^application\/scim\+json/);
  assert.deepEqual(
    [
      config.patch.supported,
      config.bulk.supported,
      config.filter.supported,
      config.etag.supported,
      config.sort.supported,
    ],
    [true, false, true, true, false],
  );
  const { body: types } = await must(world, 200, 'GET', '/ResourceTypes');
  assert.deepEqual(
    types.Resources.map(({ id, endpoint, schema }: Record<string, string>) => [id, endpoint, schema]),
    [
      ['User', '/Users', userUrn],
      ['Group', '/Groups', groupUrn],
    ],
  );
  await must(world, 200, 'GET', '/ResourceTypes/User');
  const { body: schema } = await must(world, 200, 'GET', `/Schemas/${userUrn}`);
  const userName = schema.attributes.find(({ name }: { name: string }) => name === 'userName');
  assert.deepEqual([userName.required, userName.uniqueness], [true, 'server']);
  assert.equal((await must(world, 200, 'GET', '/Schemas')).body.totalResults, 2);
  await must(world, 404, 'GET', '/Schemas/urn:nothing');
});

test('errors are SCIM errors', async () => {
  const { body, headers } = await must(world, 404, 'GET', '/Users/usr_00000000000000000000000000');
  assert.match(String(headers['content-type']), /^application\/scim\+json/);
  assert.deepEqual(body.schemas, ['urn:ietf:params:scim:api:messages:2.0:Error']);
  assert.equal(body.status, '404');
  for (const [scimType, method, path, options] of [
    ['invalidFilter', 'GET', `/Users?filter=${encodeURIComponent('userName zz "x"')}`, {}],
    ['invalidSyntax', 'POST', '/Users', { body: { userName: 'x@example.com' } }],
    ['invalidSyntax', 'POST', '/Users', { raw: '{"schemas":' }],
    [
      'invalidSyntax',
      'POST',
      '/Users',
      { raw: `{"schemas":["${userUrn}"],"userName":"x@example.com","__proto__":{"active":false}}` },
    ],
    ['invalidValue', 'POST', '/Users', { body: newUser('no address') }],
    ['invalidValue', 'POST', '/Users', { body: newUser('x@example.com', { active: 'perhaps' }) }],
    ['invalidPath', 'POST', '/Users', { body: newUser('x@example.com', { password2: 'x' }) }],
    ['invalidValue', 'GET', '/Users?count=many', {}],
  ] as const) {
    const answer = await must(world, 400, method, path, options);
    assert.equal(answer.body.scimType, scimType, answer.text);
  }
  await must(world, 415, 'POST', '/Users', { raw: 'x', headers: { 'content-type': 'text/plain' } });
  await must(world, 413, 'POST', '/Users', { raw: `"${'x'.repeat(1_100_000)}"` });
  assert.equal((await must(world, 404, 'GET', '/Nothing')).body.status, '404');
  assert.equal((await must(world, 404, 'POST', '/Bulk', { body: {} })).body.status, '404');
});

test('versions: what changed meanwhile is not overwritten', async () => {
  const email = fresh();
  const { id, meta } = await create(email);
  await must(world, 304, 'GET', `/Users/${id}`, { headers: { 'if-none-match': meta.version } });
  await world.query(world.two.a, `UPDATE freehold.users SET name = 'By Page' WHERE user_id = $1`, [id]);
  const stale = { headers: { 'if-match': meta.version } };
  await must(world, 412, 'PATCH', `/Users/${id}`, {
    ...stale,
    body: patch({ op: 'replace', path: 'displayName', value: 'x' }),
  });
  await must(world, 412, 'PUT', `/Users/${id}`, { ...stale, body: newUser(email) });
  await must(world, 412, 'DELETE', `/Users/${id}`, stale);
  const { body } = await must(world, 200, 'GET', `/Users/${id}`);
  await must(world, 204, 'DELETE', `/Users/${id}`, { headers: { 'if-match': body.meta.version } });
});

test('lists: pages, filters, projections', async () => {
  const { a } = world.two;
  const people: { id: string; userName: string }[] = [];
  for (let at = 0; at < 5; at++)
    people.push(await create(`page-${at}@lists.example`, { externalId: `ext-${at}`, name: { givenName: 'Page' } }));
  const list = async (query: Record<string, string>) =>
    (await must(world, 200, 'GET', `/Users?${new URLSearchParams(query)}`)).body;
  const all = await list({ filter: 'userName ew "@lists.example"' });
  assert.equal(all.totalResults, 5);
  const second = await list({ filter: 'emails[type eq "work"].value co "lists.example"', startIndex: '2', count: '2' });
  assert.deepEqual(
    [second.totalResults, second.startIndex, second.itemsPerPage, second.Resources.length],
    [5, 2, 2, 2],
  );
  assert.deepEqual(
    second.Resources.map(({ id }: { id: string }) => id),
    all.Resources.slice(1, 3).map(({ id }: { id: string }) => id),
  );
  assert.equal((await list({ count: '0' })).Resources.length, 0);
  assert.equal((await list({ startIndex: '-5', count: '1' })).startIndex, 1);
  const whole = (await list({ count: '200' })).Resources.map(({ id }: { id: string }) => id);
  const [{ count } = {}] = await world.query(
    a,
    `SELECT count(*)::int AS count FROM freehold.users u LEFT JOIN freehold.scim_users s USING (user_id) WHERE NOT (u.state = 'disabled' AND s.deleted_at IS NOT NULL)`,
  );
  assert.equal(whole.length, count);
  const one = people[3]!;
  for (const filter of [
    `userName eq "${one.userName.toUpperCase()}"`,
    'externalId eq "ext-3"',
    `id eq "${one.id}"`,
    `emails.value eq "${one.userName}" and active eq "True"`,
    `emails[type eq "work" and value eq "${one.userName}"]`,
    `userName eq "${one.userName}" and not (active eq false)`,
  ])
    assert.deepEqual(
      (await list({ filter })).Resources.map(({ id }: { id: string }) => id),
      [one.id],
      filter,
    );
  assert.equal(
    (await list({ filter: 'externalId eq "EXT-3"' })).totalResults,
    0,
    'what the directory calls somebody is exact',
  );
  const [projected] = (await list({ filter: 'externalId eq "ext-3"', attributes: 'userName,name.givenName' }))
    .Resources;
  assert.deepEqual(Object.keys(projected).sort(), ['id', 'name', 'schemas', 'userName']);
});
