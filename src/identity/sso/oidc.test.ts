import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createTwins } from '../two-tenants.fixture.ts';
import { newPerson, SignOnWorld, shown } from './sign-on-world.fixture.ts';
import type { ConnectionId } from './types.ts';

const refused = { code: 'FH_SIGN_ON_REFUSED' };
const gone = { code: 'FH_SIGN_ON_NOT_FOUND' };

describe('OpenID Connect sign-in', { timeout: 600_000 }, () => {
  let world: SignOnWorld;
  let connectionId: ConnectionId;

  before(async () => {
    world = await SignOnWorld.start();
    connectionId = await world.connect();
  });
  after(() => world.stop());

  it('makes a user of somebody from a proven domain, and knows them again by subject when their address changes', async () => {
    const person = newPerson();
    const first = await world.enter(connectionId, person);
    assert.equal(first.entered.session?.user.email, person.email);
    assert.equal(first.entered.session?.user.role, 'member');
    const again = await world.enter(connectionId, { ...person, email: 'married@people.example' });
    assert.equal(again.entered.session?.user.userId, first.entered.session?.user.userId);
    assert.equal(again.entered.session?.user.email, person.email);
  });

  it('links a user who is there already, once, and refuses whoever is given that address later', async () => {
    const person = newPerson();
    const userId = await createTwins(world.two, person.email);
    const entered = await world.enter(connectionId, person);
    assert.equal(entered.entered.session?.user.userId, userId);
    const successor = newPerson({ email: person.email });
    await assert.rejects(world.enter(connectionId, successor), refused);
    assert.equal((await world.reasons()).at(-1), 'other_person');
    await world.two.identity.unlinkUser(world.two.a.tenantId, await world.owner(), userId, shown);
    const { sessionId } = entered.entered.session!;
    assert.equal(await world.two.identity.isSessionLive(world.two.a.tenantId, sessionId), false);
    assert.equal((await world.enter(connectionId, successor)).entered.session?.user.userId, userId);
  });

  it('takes an address neither unverified, nor unsaid, nor of a domain that is not proven (121)', async () => {
    const cases = [
      [newPerson({ email_verified: false }), 'email_unverified'],
      [newPerson({ email_verified: undefined as never }), 'email_unverified'],
      [newPerson({ email: 'somebody@unproven.example' }), 'domain_unproven'],
      [newPerson({ email: 'owner@elsewhere.example' }), 'domain_unproven'],
      [newPerson({ email: 'x@sub.people.example' }), 'domain_unproven'],
      [newPerson({ email: 'no address' }), 'no_email'],
      [newPerson({ email: undefined as never }), 'no_email'],
    ] as const;
    const before = await world.sessions();
    for (const [person, reason] of cases) {
      await assert.rejects(world.enter(connectionId, person), refused, reason);
      assert.equal((await world.reasons()).at(-1), reason);
    }
    assert.equal(await world.sessions(), before);
  });

  it('refuses a disabled user, linked or not, like everybody whom it refuses', async () => {
    const person = newPerson();
    const { entered } = await world.enter(connectionId, person);
    const actor = await world.owner();
    await world.two.identity.setUserState(world.two.a.tenantId, actor, entered.session!.user.userId, 'disabled');
    await assert.rejects(world.enter(connectionId, person), refused);
    assert.equal((await world.reasons()).at(-1), 'user_disabled');
    const other = newPerson();
    const userId = await createTwins(world.two, other.email);
    await world.two.identity.setUserState(world.two.a.tenantId, actor, userId, 'disabled');
    await assert.rejects(world.enter(connectionId, other), refused);
    assert.equal((await world.reasons()).at(-1), 'user_disabled');
  });

  it('is good once, in the browser that began it, at the tenant that began it (98, 99, 100, 104, 107)', async () => {
    const { a, b } = world.two;
    const inB = await world.connect({}, b);
    world.provider.who = newPerson();
    const begun = await world.begin(connectionId);
    const elsewhere = await world.begin(inB, { tenant: b });
    const query = await world.provider.signIn(begun.url);
    await assert.rejects(world.finish(query, undefined), gone, 'no cookie');
    await assert.rejects(
      world.finish(query, (await world.begin(connectionId)).cookie),
      gone,
      "another browser's cookie",
    );
    await assert.rejects(world.finish(query, begun.cookie, b), gone, 'the other tenant');
    await assert.rejects(world.finish(query, elsewhere.cookie, b), gone, 'the other tenant, with a cookie of its own');
    await assert.rejects(world.finish(query, elsewhere.cookie, a), gone, "the other tenant's cookie");
    const state = new URLSearchParams(query).get('state')!;
    await assert.rejects(world.finish(`error=access_denied&state=${state}`, undefined), gone, 'an error burns nothing');
    await assert.rejects(world.finish(`${query}&state=${state}`, begun.cookie), gone, 'two states');
    for (const wrong of ['', 'state=', `state=${state.slice(1)}`, `state=${state}%00`])
      await assert.rejects(world.finish(wrong, begun.cookie), gone, wrong);
    const outcome = await world.finish(query, begun.cookie);
    assert.ok('entered' in outcome && outcome.entered.session);
    await assert.rejects(world.finish(query, begun.cookie), gone, 'again');
  });

  it('of a hundred who hand in one answer at once, lets one in (101)', async () => {
    world.provider.who = newPerson();
    const { url, cookie } = await world.begin(connectionId);
    const query = await world.provider.signIn(url);
    const before = await world.sessions();
    const results = await Promise.allSettled(Array.from({ length: 100 }, () => world.finish(query, cookie)));
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.code, gone.code);
    assert.equal(await world.sessions(), before + 1);
  });

  it('of one person in many windows makes one user', async () => {
    const person = newPerson();
    world.provider.who = person;
    const windows = await Promise.all(Array.from({ length: 8 }, () => world.begin(connectionId)));
    const queries = await Promise.all(windows.map(({ url }) => world.provider.signIn(url)));
    const outcomes = await Promise.all(queries.map((query, index) => world.finish(query, windows[index]!.cookie)));
    const users = outcomes.map((outcome) => 'entered' in outcome && outcome.entered.session?.user.userId);
    assert.equal(new Set(users).size, 1);
  });

  it('goes on in two windows of one browser', async () => {
    world.provider.who = newPerson();
    const first = await world.begin(connectionId);
    const second = await world.begin(connectionId, { cookie: first.cookie });
    const query = await world.provider.signIn(first.url);
    await world.finish(await world.provider.signIn(second.url), second.cookie);
    assert.ok('entered' in (await world.finish(query, second.cookie)));
  });

  it('shows nothing of what the provider says when it refuses (109)', async () => {
    world.provider.who = 'refuses';
    const { url, cookie } = await world.begin(connectionId);
    const query = await world.provider.signIn(url);
    assert.match(query, /script/);
    const error = await world.finish(query, cookie).then(
      () => assert.fail('it was let in'),
      (refusal) => refusal,
    );
    assert.equal(error.code, refused.code);
    assert.doesNotMatch(JSON.stringify(error), /script|denied/);
    assert.equal((await world.reasons()).at(-1), 'provider_refused');
  });

  it('leads to a path of this host only (106)', async () => {
    const paths: readonly [string | undefined, string][] = [
      ['/items/7?tab=history#last', '/items/7?tab=history#last'],
      [undefined, '/'],
      ['https://evil.example/', '/'],
      ['//evil.example', '/'],
      ['/\\evil.example', '/'],
      ['/.//evil.example', '/'],
      ['javascript:alert(1)', '/'],
      ['/a\r\nset-cookie: x=y', '/'],
      ['/\t/evil.example', '/'],
      [`/${'x'.repeat(2_100)}`, '/'],
      ['/-/sign-in?next=/', '/'],
      ['/-/sign-on/callback', '/'],
    ];
    for (const [next, expected] of paths) {
      world.provider.who = newPerson();
      const { url, cookie } = await world.begin(connectionId, { ...(next !== undefined && { next }) });
      const outcome = await world.finish(await world.provider.signIn(url), cookie);
      assert.equal('next' in outcome && outcome.next, expected, String(next));
    }
  });

  it('maps a claim to admin or member, at every sign-in, and never to owner or staff (122, 123)', async () => {
    const mapped = await world.connect({
      roleClaim: 'groups',
      adminValues: ['admins', 'owner'],
      domain: 'mapped.example',
    });
    const person = newPerson({ email: 'mapped@mapped.example', groups: ['owner', 'staff', 'admins'] });
    const { entered } = await world.enter(mapped, person);
    assert.equal(entered.session?.user.role, 'admin');
    const lowered = await world.enter(mapped, { ...person, groups: ['guests'] });
    assert.equal(lowered.entered.session?.user.role, 'member');
    // The provider says role: owner, isAdmin: true in every answer.
    for (const roleClaim of ['role', 'isAdmin', '__proto__', 'constructor', 'toString']) {
      const asked = await world.connect({ roleClaim, adminValues: ['owners'], domain: 'mapped.example' });
      const { entered } = await world.enter(asked, newPerson({ email: `${roleClaim}@mapped.example` }));
      assert.equal(entered.session?.user.role, 'member', roleClaim);
    }
    const ownerId = await createTwins(world.two, 'boss@mapped.example', { role: 'owner' });
    const again = await world.connect({ roleClaim: 'groups', adminValues: ['admins'], domain: 'mapped.example' });
    const boss = await world.enter(again, newPerson({ email: 'boss@mapped.example', groups: [] }));
    assert.deepEqual([boss.entered.session?.user.userId, boss.entered.session?.user.role], [ownerId, 'owner']);
  });

  it('makes no users where it was told not to', async () => {
    const closed = await world.connect({ createsUsers: false, domain: 'closed.example' });
    const person = newPerson({ email: 'known@closed.example' });
    await assert.rejects(world.enter(closed, person), refused);
    assert.equal((await world.reasons()).at(-1), 'no_user');
    await createTwins(world.two, person.email);
    assert.ok((await world.enter(closed, person)).entered.session);
  });

  it('is not possible over a connection that is off, unknown, or of the other tenant', async () => {
    const off = await world.connect({ on: false, domain: 'off.example' });
    const inB = await world.connect({ domain: 'b.example' }, world.two.b);
    for (const id of [off, inB, 'con_none']) await assert.rejects(world.begin(id), { code: 'FH_CONNECTION_NOT_FOUND' });
    const discover = (email: string) => world.two.identity.discoverSignOn(world.two.a.tenantId, email);
    for (const email of [
      'x@off.example',
      'x@b.example',
      'nobody@nowhere.example',
      'owner@elsewhere.example',
      'no address',
    ])
      assert.equal(await discover(email), undefined, email);
    const found = await Promise.all(['nobody@closed.example', 'known@closed.example'].map(discover));
    assert.ok(
      found[0] !== undefined && found[0] === found[1],
      'by the domain, whether or not somebody has the address',
    );
  });
});
