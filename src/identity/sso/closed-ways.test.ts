import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FactorUser } from '../second-factors/factor-user.fixture.ts';
import { hashApiToken } from '../tokens/api-token.ts';
import { cookieHeaderOf, createTwins, goodPassword, started, type TestTenant } from '../two-tenants.fixture.ts';
import { maySignInHere } from './sign-on-policy.ts';
import { newPerson, SignOnWorld, shown } from './sign-on-world.fixture.ts';
import type { ConnectionId } from './types.ts';

/** What people had who came by a way that is closed; what of it is being made in the same moment, too. */
describe('a way that is closed', { timeout: 600_000 }, () => {
  let world: SignOnWorld;
  before(async () => {
    world = await SignOnWorld.start();
  });
  after(() => world.stop());

  const caller = { address: '192.0.2.7', userAgent: 'test' };
  const order = { name: 'Nightly', scope: 'read', password: goodPassword } as const;
  /** Somebody with a password, linked over the connections, and with a token. */
  async function holder(links: readonly ConnectionId[], tenant: TestTenant = world.two.a) {
    const person = newPerson();
    const { identity, databases } = world.two;
    const userId = await createTwins(world.two, person.email);
    const { session, setCookies } = await started(
      identity.signIn(tenant.tenantId, { email: person.email, password: goodPassword }, caller),
    );
    for (const [at, id] of links.entries())
      await databases.platform.transact(tenant.tenantId, (db) =>
        db.query('INSERT INTO freehold.sign_on_identities (connection_id, subject, user_id) VALUES ($1, $2, $3)', [
          id,
          `${person.sub}-${at}`,
          userId,
        ]),
      );
    const { token } = await identity.createApiToken(tenant.tenantId, { session }, order, caller);
    return {
      userId,
      actor: { session },
      cookie: cookieHeaderOf(setCookies),
      isGood: async () => (await identity.checkApiToken(tenant.tenantId, hashApiToken(token)!, caller)) !== undefined,
    };
  }
  const goodOf = async (holders: Record<string, { isGood(): Promise<boolean> }>) => {
    const good: string[] = [];
    for (const [name, { isGood }] of Object.entries(holders)) if (await isGood()) good.push(name);
    return good;
  };
  const tokensIn = async (event: string) =>
    (
      await world.query<{ tokens: string }>(
        `SELECT details ->> 'tokens' AS tokens FROM freehold.audit_events WHERE name = $1 ORDER BY position DESC LIMIT 1`,
        [event],
      )
    )[0]?.tokens;

  it('takes the API tokens of its people, at the very next request, and nobody else’s', async () => {
    const { identity, a, b } = world.two;
    const [first, second] = [await world.connect(), await world.connect({ domain: 'second.example' })];
    const inB = await world.connect({}, b);
    const owner = await world.owner();
    const { token: ownersToken } = await identity.createApiToken(a.tenantId, owner, order, caller);
    const holders = {
      ofFirst: await holder([first]),
      ofSecond: await holder([second]),
      ofBoth: await holder([first, second]),
      ofNone: await holder([]),
      inB: await holder([inB], b),
      owner: {
        isGood: async () =>
          (await identity.checkApiToken(a.tenantId, hashApiToken(ownersToken)!, caller)) !== undefined,
      },
    };
    await world.query('INSERT INTO freehold.sign_on_identities (connection_id, subject, user_id) VALUES ($1, $2, $3)', [
      first,
      'the-owner',
      world.ownerId,
    ]);
    assert.deepEqual(await goodOf(holders), Object.keys(holders));
    await identity.setConnectionState(a.tenantId, owner, first, 'off', shown);
    assert.deepEqual(await goodOf(holders), ['ofSecond', 'ofBoth', 'ofNone', 'inB', 'owner']);
    assert.equal(await tokensIn('connection.turned_off'), '1');
    // Turning it on again brings none back.
    await identity.setConnectionState(a.tenantId, owner, first, 'on', shown);
    await identity.setConnectionState(a.tenantId, owner, first, 'off', shown);
    assert.equal(await tokensIn('connection.turned_off'), '0');
    // Its second factor is trusted less: no token rested on that.
    await identity.changeConnection(a.tenantId, owner, second, { secondFactor: 'provider' }, shown);
    await identity.changeConnection(a.tenantId, owner, second, { secondFactor: 'own' }, shown);
    assert.deepEqual(await goodOf(holders), ['ofSecond', 'ofBoth', 'ofNone', 'inB', 'owner']);
    await identity.removeConnection(a.tenantId, owner, second, shown);
    assert.deepEqual(await goodOf(holders), ['ofNone', 'inB', 'owner']);
    assert.equal(await tokensIn('connection.removed'), '2');

    // Enforced: who could not sign in any more has no token either.
    const third = await world.connect({ domain: 'third.example' });
    const ofThird = await holder([third]);
    const marked = await FactorUser.create(world.two, 'owner');
    await marked.enrol();
    const policy = (enforced: boolean) => ({ enforced, breakGlass: [marked.userId] });
    await identity.setSignOnPolicy(a.tenantId, owner, policy(true), shown);
    assert.deepEqual(await goodOf({ ...holders, ofThird }), ['inB', 'owner', 'ofThird']);
    assert.equal(await tokensIn('sign_on.policy_changed'), '1');
    await identity.setSignOnPolicy(a.tenantId, owner, policy(false), shown);
    assert.deepEqual(await goodOf({ ...holders, ofThird }), ['inB', 'owner', 'ofThird']);
  });

  it('waits for who is signing in over it, or making a token, and ends that as well', async () => {
    const { identity, a } = world.two;
    for (let round = 0; round < 6; round++) {
      const id = await world.connect({ domain: `round${round}.example` });
      const people = await Promise.all(
        Array.from({ length: 3 }, async (_, at) => {
          const who = newPerson({ email: `p${at}@round${round}.example` });
          world.provider.who = who;
          return { who, ...(await world.begin(id)) };
        }),
      );
      const queries: string[] = [];
      for (const { who, url } of people) {
        world.provider.who = who;
        queries.push(await world.provider.signIn(url));
      }
      const maker = await holder([id]);
      const owner = await world.owner();
      const [off, made, ...entered] = await Promise.allSettled([
        identity.setConnectionState(a.tenantId, owner, id, 'off', shown),
        identity.createApiToken(a.tenantId, maker.actor, { ...order, name: 'Late' }, caller),
        ...people.map(({ cookie }, at) => world.finish(queries[at]!, cookie)),
      ]);
      assert.equal(off?.status, 'fulfilled', String((off as PromiseRejectedResult).reason));
      const left = await world.query(
        `SELECT s.session_id FROM freehold.sessions s JOIN freehold.sign_on_identities i USING (user_id) WHERE i.connection_id = $1
         UNION ALL SELECT t.token_id FROM freehold.api_tokens t JOIN freehold.sign_on_identities i USING (user_id) WHERE i.connection_id = $1`,
        [id],
      );
      assert.deepEqual(left, [], `round ${round}: ${made?.status} ${entered.map(({ status }) => status).join(' ')}`);
      assert.equal(await maker.isGood(), false);
      await identity.removeConnection(a.tenantId, owner, id, shown);
    }
  });

  it('lets no sign-in through that is being committed when enforcement begins', async () => {
    const { identity, a } = world.two;
    await world.connect({ domain: 'enforced.example' });
    const marked = await FactorUser.create(world.two, 'owner');
    await marked.enrol();
    const policy = (enforced: boolean) => ({ enforced, breakGlass: [marked.userId] });
    const email = 'late@x.example';
    const userId = await createTwins(world.two, email);
    const owner = await world.owner();
    const asked = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    // A sign-in between its question and its session.
    const entering = world.two.databases.platform.transact(a.tenantId, async (db) => {
      assert.equal(await maySignInHere(db, userId), true);
      asked.resolve();
      await goOn.promise;
      await db.query(
        `INSERT INTO freehold.sessions (session_id, user_id, user_epoch, token_hash, expires_at, idle_expires_at)
         VALUES ('ses_' || repeat('0', 26), $1, 1, sha256('late'), now() + interval '1 hour', now() + interval '1 hour')`,
        [userId],
      );
    });
    await asked.promise;
    const enforcing = identity.setSignOnPolicy(a.tenantId, owner, policy(true), shown);
    const deadline = Date.now() + 60_000;
    const waiting = `SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database
      WHERE locktype = 'advisory' AND NOT granted AND d.datname = current_database()`;
    while ((await world.query(waiting)).length === 0) assert.ok(Date.now() < deadline, 'enforcement did not wait');
    goOn.resolve();
    await Promise.all([entering, enforcing]);
    assert.deepEqual(await world.query('SELECT 1 FROM freehold.sessions WHERE user_id = $1', [userId]), []);
    await assert.rejects(identity.signIn(a.tenantId, { email, password: goodPassword }, caller), {
      code: 'FH_SIGN_IN_FAILED',
    });
    await identity.setSignOnPolicy(a.tenantId, owner, policy(false), shown);
  });
});
