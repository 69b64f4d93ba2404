import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FactorUser } from '../second-factors/factor-user.fixture.ts';
import { cookieHeaderOf, goodPassword, started } from '../two-tenants.fixture.ts';
import { stripClone } from '../users/lifecycle.ts';
import { newPerson, SignOnWorld, shown } from './sign-on-world.fixture.ts';
import type { ConnectionId } from './types.ts';

describe('who has to use single sign-on, and what it proves', { timeout: 600_000 }, () => {
  let world: SignOnWorld;
  let connectionId: ConnectionId;

  before(async () => {
    world = await SignOnWorld.start();
    connectionId = await world.connect();
  });
  after(() => world.stop());

  const setPolicy = async (enforced: boolean, breakGlass: readonly string[]) =>
    world.two.identity.setSignOnPolicy(world.two.a.tenantId, await world.owner(), { enforced, breakGlass }, shown);

  it('asks for the second factor here unless the provider is trusted to have asked for one (124)', async () => {
    const { a } = world.two;
    const [none, evidence, always] = await Promise.all([
      world.connect({ domain: 'own.example', secondFactor: 'own' }),
      world.connect({ domain: 'evidence.example', secondFactor: 'evidence' }),
      world.connect({ domain: 'always.example', secondFactor: 'provider' }),
    ]);
    const cases = [
      [none, 'own.example', { amr: ['mfa'] }, false],
      [evidence, 'evidence.example', {}, false],
      [evidence, 'evidence.example', { amr: ['pwd', 'otp'] }, false],
      [evidence, 'evidence.example', { amr: ['pwd', 'mfa'] }, true],
      [always, 'always.example', {}, true],
    ] as const;
    for (const [id, domain, more, isTrusted] of cases) {
      const user = await FactorUser.create(world.two);
      await world.query('UPDATE freehold.users SET email = $2, email_key = $2 WHERE user_id = $1', [
        user.userId,
        `${user.userId}@${domain}`.toLowerCase(),
      ]);
      await world.query(
        `INSERT INTO freehold.totp_factors (user_id, sealed_secret, confirmed_at) VALUES ($1, $2, now())`,
        [user.userId, Buffer.alloc(49)],
      );
      const person = newPerson({ email: `${user.userId}@${domain}`.toLowerCase(), ...more });
      const { entered } = await world.enter(id, person);
      assert.equal(entered.session !== undefined, isTrusted, `${domain} ${JSON.stringify(more)}`);
    }
    // The tenant asks everybody for a factor; who came by a trusted provider needs none of ours, in every request.
    await world.query(`INSERT INTO freehold.second_factor_policy (required_of) VALUES ('everyone')`);
    const enter = async (id: ConnectionId, domain: string) => {
      const { entered } = await world.enter(id, newPerson({ email: `new@${domain}` }));
      const cookie = entered.setCookies.map((line) => line.split(';')[0]).join('; ');
      return (await world.two.identity.authenticate(a.tenantId, cookie))?.mustEnrol ?? false;
    };
    assert.equal(await enter(always, 'always.example'), false);
    assert.equal(await enter(none, 'own.example'), true);
    await world.query('DELETE FROM freehold.second_factor_policy');
  });

  it('needs a tested connection and a marked owner with a second factor; then passwords let only that owner in', async () => {
    const { identity, a, b } = world.two;
    const other = await FactorUser.create(world.two, 'owner');
    await assert.rejects(setPolicy(true, []), { code: 'FH_BREAK_GLASS_REQUIRED' }, 'nobody is marked');
    await assert.rejects(setPolicy(true, [other.userId]), { code: 'FH_BREAK_GLASS_REQUIRED' }, 'no second factor');
    const { header } = await other.enrol();
    await world.query(`UPDATE freehold.sign_on_connections SET last_test = NULL`);
    await assert.rejects(setPolicy(true, [other.userId]), { code: 'FH_CONNECTION_UNTESTED' });
    await world.query(`UPDATE freehold.sign_on_connections SET last_test = '{"passed": true}'`);
    const owner = await world.owner();
    await identity.setSignOnPolicy(a.tenantId, owner, { enforced: true, breakGlass: [other.userId] }, shown);

    const signIn = (email: string, tenant = a) =>
      identity.signIn(tenant.tenantId, { email, password: goodPassword }, { address: '10.99.1.1' });
    const failed = { code: 'FH_SIGN_IN_FAILED' };
    await assert.rejects(signIn('owner@elsewhere.example'), failed, 'an owner who is not marked');
    assert.equal((await signIn(other.email)).session, undefined, 'the marked owner: the second step follows');
    await started(signIn('owner@elsewhere.example', b));
    assert.ok((await world.enter(connectionId, newPerson())).entered.session);

    // What would leave nobody is refused.
    const left = { code: 'FH_BREAK_GLASS_REQUIRED' };
    await assert.rejects(identity.setRole(a.tenantId, owner, other.userId, 'member'), left);
    await assert.rejects(identity.setUserState(a.tenantId, owner, other.userId, 'disabled'), left);
    await assert.rejects(identity.resetSecondFactor(a.tenantId, owner, other.userId, shown), left);
    const own = (await identity.authenticate(a.tenantId, header))!;
    await assert.rejects(
      identity.removeSecondFactor(a.tenantId, { session: own }, { ...shown, code: await other.code() }, {}),
      left,
    );
    await world.query(`UPDATE freehold.sign_on_connections SET state = 'off' WHERE connection_id <> $1`, [
      connectionId,
    ]);
    const enforced = { code: 'FH_SIGN_ON_ENFORCED' };
    await assert.rejects(identity.setConnectionState(a.tenantId, owner, connectionId, 'off', shown), enforced);
    await assert.rejects(identity.removeConnection(a.tenantId, owner, connectionId, shown), enforced);

    // An invitation is no way around it, and stays good for later.
    const { token } = await identity.createInvitation(a.tenantId, owner, { email: 'late@x.example', role: 'member' });
    const accept = () =>
      identity.acceptInvitation(a.tenantId, a.route, { token, password: 'eleven copper kettles whistle' }, {});
    await assert.rejects(accept(), { code: 'FH_SIGN_ON_REQUIRED' });
    await identity.setSignOnPolicy(a.tenantId, owner, { enforced: false, breakGlass: [other.userId] }, shown);
    assert.ok((await accept()).session);
    await started(signIn('owner@elsewhere.example'));
  });

  it('signs out who came by a way that is closed, at the very next request, and nobody else', async () => {
    const { identity, a, b } = world.two;
    const second = await world.connect({ domain: 'second.example' });
    await world.query(`UPDATE freehold.sign_on_connections SET state = 'on', last_test = '{"passed": true}'`);
    const marked = await FactorUser.create(world.two, 'owner');
    const { header: ofMarked } = await marked.enrol();
    const member = await FactorUser.create(world.two);
    const waiting = await FactorUser.create(world.two);
    await waiting.enrol();
    const byPassword = async (tenant = a) =>
      cookieHeaderOf((await started(member.enter(undefined, undefined, tenant))).setCookies);
    const over = async (id: ConnectionId, email: string) =>
      cookieHeaderOf((await world.enter(id, newPerson({ email }))).entered.setCookies);
    const cookies = {
      marked: ofMarked,
      member: await byPassword(),
      first: await over(connectionId, 'one@people.example'),
      second: await over(second, 'two@second.example'),
    };
    const inOther = await byPassword(b);
    assert.equal((await waiting.enter()).session, undefined);
    const owner = await world.owner();
    const signedIn = async () => {
      const names = Object.keys(cookies) as (keyof typeof cookies)[];
      const found = await Promise.all(names.map((name) => identity.authenticate(a.tenantId, cookies[name])));
      return names.filter((_, index) => found[index]);
    };
    const endedBy = async (name: string) =>
      (
        await world.query<{ ended: string }>(
          `SELECT details ->> 'sessionsEnded' AS ended FROM freehold.audit_events WHERE name = $1 ORDER BY position DESC LIMIT 1`,
          [name],
        )
      )[0]!.ended;
    assert.deepEqual(await signedIn(), ['marked', 'member', 'first', 'second']);

    const policy = (enforced: boolean) => ({ enforced, breakGlass: [marked.userId] });
    await identity.setSignOnPolicy(a.tenantId, owner, policy(true), shown);
    assert.deepEqual(await signedIn(), ['marked', 'first', 'second']);
    assert.ok(Number(await endedBy('sign_on.policy_changed')) >= 1);
    const challenges = await world.query('SELECT 1 FROM freehold.sign_in_challenges WHERE user_id = $1', [
      waiting.userId,
    ]);
    assert.deepEqual(challenges, []);
    // Who changes it goes on.
    await identity.setSignOnPolicy(a.tenantId, owner, policy(false), shown);
    cookies.member = await byPassword();

    await identity.setConnectionState(a.tenantId, owner, connectionId, 'off', shown);
    assert.deepEqual(await signedIn(), ['marked', 'member', 'second']);
    assert.ok(Number(await endedBy('connection.turned_off')) >= 1);
    await identity.setConnectionState(a.tenantId, owner, connectionId, 'on', shown);

    await identity.changeConnection(a.tenantId, owner, second, { name: 'Second', secondFactor: 'provider' }, shown);
    assert.deepEqual(await signedIn(), ['marked', 'member', 'second']);
    await identity.changeConnection(a.tenantId, owner, second, { secondFactor: 'own' }, shown);
    assert.deepEqual(await signedIn(), ['marked', 'member']);
    cookies.second = await over(second, 'three@second.example');
    await identity.removeConnection(a.tenantId, owner, second, shown);
    assert.deepEqual(await signedIn(), ['marked', 'member']);
    assert.ok(await identity.authenticate(b.tenantId, inOther));
  });

  it('completes no second step that was begun by a way that is closed by now', async () => {
    const waiting = await FactorUser.create(world.two);
    await waiting.enrol();
    const header = await waiting.awaited();
    const enforce = (enforced: boolean) =>
      world.query(
        'INSERT INTO freehold.sign_on_policy (enforced) VALUES ($1) ON CONFLICT (single) DO UPDATE SET enforced = $1',
        [enforced],
      );
    const gone = { code: 'FH_CHALLENGE_NOT_FOUND' };
    // As if it had been committed beside the change, which ends those that it sees.
    await enforce(true);
    await assert.rejects(waiting.complete(header, await waiting.code()), gone);
    await world.query('UPDATE freehold.sign_in_challenges SET connection_id = $1, subject = $2 WHERE user_id = $3', [
      connectionId,
      'somebody',
      waiting.userId,
    ]);
    const setState = (state: string) =>
      world.query('UPDATE freehold.sign_on_connections SET state = $2 WHERE connection_id = $1', [connectionId, state]);
    await setState('off');
    await assert.rejects(waiting.complete(header, await waiting.code()), gone);
    await setState('on');
    assert.ok(await waiting.complete(header, await waiting.code()), 'over a provider that is on');
    const sessions = await world.query(
      'SELECT 1 FROM freehold.sign_on_sessions JOIN freehold.sessions USING (session_id) WHERE user_id = $1',
      [waiting.userId],
    );
    assert.equal(sessions.length, 1);
    await enforce(false);
  });

  it('is changed only by owners who show who they are, and every change is recorded', async () => {
    const { identity, a } = world.two;
    const owner = await world.owner();
    const wrong = { password: 'not the password at all' };
    await assert.rejects(identity.removeConnection(a.tenantId, owner, connectionId, wrong), {
      code: 'FH_PASSWORD_WRONG',
    });
    await assert.rejects(identity.addDomain(a.tenantId, owner, { domain: 'x.example', connectionId }, wrong), {
      code: 'FH_PASSWORD_WRONG',
    });
    const names = await world.query<{ name: string }>('SELECT DISTINCT name FROM freehold.audit_events');
    for (const name of [
      'connection.created',
      'domain.added',
      'domain.proven',
      'sign_on.policy_changed',
      'sign_on.change_refused',
    ])
      assert.ok(
        names.some((row) => row.name === name),
        name,
      );
  });

  it('keeps no secret in the clear, opens none for another tenant, and leaves none in a copy', async () => {
    const { identity, a, b, databases } = world.two;
    const owner = await world.owner();
    const rows = await world.query<{ text: string }>('SELECT c::text AS text FROM freehold.sign_on_connections c');
    assert.ok(rows.every(({ text }) => !text.includes(world.provider.clientSecret)));
    assert.doesNotMatch(
      JSON.stringify(await identity.getSignOnSettings(a.tenantId, owner)),
      new RegExp(world.provider.clientSecret),
    );
    // The same rows in the other tenant.
    const inB = await world.connect({}, b);
    const [sealed] = await world.query<{ sealed_secret: Buffer }>(
      'SELECT sealed_secret FROM freehold.sign_on_connections WHERE connection_id = $1',
      [connectionId],
    );
    await world.query('UPDATE freehold.sign_on_connections SET sealed_secret = $1', [sealed!.sealed_secret], b);
    await assert.rejects(world.enter(inB, newPerson(), b), { code: 'FH_SIGN_ON_REFUSED' });
    assert.equal((await world.reasons(b)).at(-1), 'secret_missing');

    await world.begin(inB, { tenant: b });
    await databases.platform.transact(b.tenantId, stripClone);
    const [kept] = await world.query<object>(
      `SELECT state, sealed_secret, last_test, (SELECT count(*)::int FROM freehold.sign_on_requests) AS requests,
         (SELECT count(*)::int FROM freehold.sign_on_domains WHERE proven_at IS NOT NULL) AS proven
       FROM freehold.sign_on_connections`,
      [],
      b,
    );
    assert.deepEqual({ ...kept }, { state: 'off', sealed_secret: null, last_test: null, requests: 0, proven: 0 });
    assert.equal((await identity.getSignOnSettings(b.tenantId, await world.owner(b))).connections.length, 1);
  });
});
