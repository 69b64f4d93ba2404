/**
 * SIGKILL at every failpoint of single sign-on, in a process of its own. Afterwards nothing is half there: what was not committed never was, what can be used once is unused or used,
 * and the same people get in by beginning again.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '#src/kernel/index.ts';
import { encrypted } from '../saml/idp.fixture.ts';
import { FactorUser } from '../second-factors/factor-user.fixture.ts';
import { cookieHeaderOf } from '../two-tenants.fixture.ts';
import { Victims } from '../victims.fixture.ts';
import { logOutRequest, logOutResponse, posted } from './log-out-messages.fixture.ts';
import { newSamlPerson, type SamlPerson, SamlProvider } from './saml-provider.fixture.ts';
import { newPerson, originOf, SignOnWorld, shown } from './sign-on-world.fixture.ts';
import type { ConnectionId } from './types.ts';

// A process for each takes a second; what these leave out by default is killed in the same transaction elsewhere.
const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
const gone = { code: 'FH_SIGN_ON_NOT_FOUND' };

describe('single sign-on, killed', { timeout: 600_000 }, () => {
  let world: SignOnWorld;
  let idp: SamlProvider;
  let victims: Victims;
  let oidc: ConnectionId;
  let saml: ConnectionId;
  before(async () => {
    world = await SignOnWorld.start();
    victims = new Victims(world.two, world.provider);
    idp = await SamlProvider.start();
    oidc = await world.connect();
    saml = await world.connect({ saml: { metadataXml: idp.metadata() }, trustsEmails: true, domain: 'saml.example' });
  });
  after(async () => {
    await victims?.stop();
    await world?.stop();
  });

  const at = () => ({ tenantId: world.two.a.tenantId, origin: originOf(world.two.a) });
  const callerOf = (cookieHeader: string) => ({ cookieHeader, address: '192.0.2.1', userAgent: 'test' });
  /** Rows of everything that a sign-in makes, at both tenants. */
  const counts = async () => {
    const of = async (tenant = world.two.a) =>
      (
        await world.query<Record<string, number>>(
          `SELECT (SELECT count(*)::int FROM freehold.users) AS users, (SELECT count(*)::int FROM freehold.sign_on_identities) AS links,
             (SELECT count(*)::int FROM freehold.sessions) AS sessions, (SELECT count(*)::int FROM freehold.sign_on_sessions) AS ways,
             (SELECT count(*)::int FROM freehold.sign_in_challenges) AS challenges, (SELECT count(*)::int FROM freehold.saml_messages) AS messages,
             (SELECT count(*)::int FROM freehold.audit_events) AS events`,
          [],
          tenant,
        )
      )[0]!;
    return { a: { ...(await of()) }, b: { ...(await of(world.two.b)) } };
  };
  const unchangedSince = async (earlier: Awaited<ReturnType<typeof counts>>) =>
    assert.deepEqual(await counts(), earlier);

  for (const failpoint of ['request_spent', ...(isSlow ? ['user_made', 'before_commit'] : [])])
    it(`a sign-in by OpenID Connect at ${failpoint}: nobody is made or signed in, the answer is used up, and the next try is good`, async () => {
      const person = newPerson();
      world.provider.who = person;
      const { url, cookie } = await world.begin(oidc);
      const query = await world.provider.signIn(url);
      const earlier = await counts();
      const { tenantId, origin } = at();
      await victims.die(`identity.sign_on.${failpoint}`, 'finishOidc', tenantId, origin, query, callerOf(cookie));
      await unchangedSince(earlier);
      await assert.rejects(world.finish(query, cookie), gone, 'the code went to the provider, perhaps');
      assert.ok((await world.enter(oidc, person)).entered.session);
      const { a, b } = await counts();
      assert.deepEqual(
        [a.users! - earlier.a.users!, a.links! - earlier.a.links!, a.sessions! - earlier.a.sessions!],
        [1, 1, 1],
      );
      assert.deepEqual(b, earlier.b);
    });

  async function answer(person: SamlPerson, { index = '_s0001' } = {}) {
    const { url, cookie } = await world.begin(saml);
    return { answer: answerTo(url, person, index), cookie };
  }
  const answerTo = (url: string, person: SamlPerson, index = '_s0001') =>
    idp.answer(url, person, {
      alter: (xml) =>
        xml
          .replace('"_s0001"', `"${index}"`)
          .replace(/AuthnInstant="[^"]+"/, `AuthnInstant="${new Date(systemClock.now()).toISOString()}"`),
    });
  const finishSaml = (given: ReturnType<typeof answerTo>, cookie: string) =>
    world.two.identity.finishSaml(at().tenantId, at().origin, given, callerOf(cookie));

  for (const failpoint of ['before_commit', ...(isSlow ? ['user_made'] : [])])
    it(`a sign-in by SAML at ${failpoint}: nothing is used up, and the same answer is good, once`, async () => {
      const person = newSamlPerson({ email: `${failpoint}@saml.example` });
      const { answer: given, cookie } = await answer(person);
      const earlier = await counts();
      const { tenantId, origin } = at();
      await victims.die(`identity.sign_on.${failpoint}`, 'finishSaml', tenantId, origin, given, callerOf(cookie));
      await unchangedSince(earlier);
      const outcome = await finishSaml(given, cookie);
      assert.ok(outcome.tested === undefined && outcome.entered.session);
      await assert.rejects(finishSaml(given, cookie), gone);
      const { a, b } = await counts();
      assert.deepEqual(
        [a.users! - earlier.a.users!, a.sessions! - earlier.a.sessions!, a.messages! - earlier.a.messages!],
        [1, 1, 1],
      );
      assert.deepEqual(b, earlier.b);
    });

  it('before a second step is awaited and before it ends: no challenge is left or lost, a recovery code is used once', async () => {
    const user = await FactorUser.create(world.two);
    const { recoveryCodes } = await user.enrol();
    const person = newPerson({ email: `twice${user.serial}@people.example` });
    await world.query('UPDATE freehold.users SET email = $2, email_key = $2 WHERE user_id = $1', [
      user.userId,
      person.email,
    ]);
    world.provider.who = person;
    const { url, cookie } = await world.begin(oidc);
    const query = await world.provider.signIn(url);
    const earlier = await counts();
    const { tenantId, origin } = at();
    await victims.die('identity.sign_on.before_commit', 'finishOidc', tenantId, origin, query, callerOf(cookie));
    await unchangedSince(earlier);
    const { entered } = await world.enter(oidc, person);
    assert.equal(entered.session, undefined);
    const waiting = cookieHeaderOf(entered.setCookies);
    const awaited = await counts();
    const code = recoveryCodes[0]!;
    await victims.die('identity.second_step.before_commit', 'completeSignIn', tenantId, { code }, user.caller(waiting));
    await unchangedSince(awaited);
    assert.ok(await user.complete(waiting, code));
    await assert.rejects(user.complete(waiting, code), { code: 'FH_CHALLENGE_NOT_FOUND' });
    const { a } = await counts();
    assert.deepEqual([a.ways! - awaited.a.ways!, a.challenges! - awaited.a.challenges!], [1, -1]);
  });

  for (const kind of isSlow ? (['OpenID Connect', 'SAML'] as const) : (['SAML'] as const))
    it(`a test of a connection by ${kind}: it has not passed, and can be begun again`, async () => {
      const { identity } = world.two;
      const { tenantId, origin } = at();
      const id = kind === 'SAML' ? saml : oidc;
      const owner = await world.owner();
      await world.query('UPDATE freehold.sign_on_connections SET last_test = NULL WHERE connection_id = $1', [id]);
      const tested = async () =>
        (
          await world.query<{ test: { passed: boolean } | null }>(
            'SELECT last_test AS test FROM freehold.sign_on_connections WHERE connection_id = $1',
            [id],
          )
        )[0]!.test;
      const begin = async () => {
        const { url, setCookies } = await identity.testConnection(tenantId, origin, owner, id, callerOf(''));
        world.provider.who = newPerson();
        const caller = callerOf(cookieHeaderOf(setCookies));
        if (kind === 'OpenID Connect')
          return ['finishOidc', tenantId, origin, await world.provider.signIn(url), caller] as const;
        return [
          'finishSaml',
          tenantId,
          origin,
          answerTo(url, newSamlPerson({ email: 'tester@saml.example' })),
          caller,
        ] as const;
      };
      const finish = async ([method, ...args]: Awaited<ReturnType<typeof begin>>) =>
        method === 'finishOidc'
          ? identity.finishOidc(...(args as unknown as Parameters<typeof identity.finishOidc>))
          : identity.finishSaml(...(args as unknown as Parameters<typeof identity.finishSaml>));
      const sessions = await world.sessions();
      const begun = await begin();
      const [method, ...args] = begun;
      await victims.die(
        'identity.sign_on.test.before_commit',
        method,
        ...(args as never as [never, never, never, never]),
      );
      assert.equal(await tested(), null);
      await assert.rejects(finish(begun), gone, 'an answer is good once, for a test as well');
      assert.deepEqual(await finish(await begin()), { tested: id });
      assert.equal((await tested())?.passed, true);
      assert.equal(await world.sessions(), sessions, 'a test signs nobody in');
    });

  const isIn = async (header: string) => (await world.two.identity.authenticate(at().tenantId, header)) !== undefined;
  const enterSaml = async (person: SamlPerson, index: string) => {
    const { answer: given, cookie } = await answer(person, { index });
    const outcome = await finishSaml(given, cookie);
    assert.ok(outcome.tested === undefined && outcome.entered.session);
    return { session: outcome.entered.session, header: cookieHeaderOf(outcome.entered.setCookies) };
  };

  it('a log-out that the provider asks for, the name encrypted to us: the session goes on, and the same message ends it, once', async () => {
    const person = newSamlPerson({ email: 'leaver@saml.example' });
    const { header } = await enterSaml(person, '_killed');
    const destination = `${at().origin}/-/sign-on/saml/log-out/${saml}`;
    const request = logOutRequest({ destination, nameId: person.nameId, sessionIndexes: ['_killed'] });
    const metadata = await world.two.identity.getSamlMetadata(at().tenantId, at().origin, saml);
    const [, base64] = /use="encryption">.*?<ds:X509Certificate>([^<]+)</s.exec(metadata)!;
    const certificate = new X509Certificate(Buffer.from(base64!, 'base64')).toString();
    const hide = (name: string) =>
      encrypted(name.replace(' ', ' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '), { certificate });
    const message = posted(
      request.replace(/<saml:NameID .*<\/saml:NameID>/, (name) =>
        hide(name).replaceAll('EncryptedAssertion', 'EncryptedID'),
      ),
      idp.signer,
    );
    const earlier = await counts();
    const { tenantId, origin } = at();
    const caller = { address: '192.0.2.7' };
    await victims.die('identity.log_out.before_commit', 'endFromProvider', tenantId, origin, saml, message, caller);
    await unchangedSince(earlier);
    assert.equal(await isIn(header), true);
    const end = () => world.two.identity.endFromProvider(tenantId, origin, saml, message, caller);
    assert.ok(await end());
    assert.equal(await isIn(header), false);
    await assert.rejects(end(), { code: 'FH_LOG_OUT_REFUSED' });
    assert.equal((await counts()).a.sessions! - earlier.a.sessions!, -1);
  });

  for (const failpoint of ['asked.before_commit', ...(isSlow ? ['session_ended'] : [])])
    it(`a log-out of ours at ${failpoint}: the session is over, the provider is not asked, and who signs in again can leave`, async () => {
      const person = newSamlPerson({ email: `${failpoint}.leaves@saml.example` });
      const { session, header } = await enterSaml(person, '_leaves');
      const { tenantId, origin } = at();
      const waiting = async () => (await world.query('SELECT 1 FROM freehold.sign_on_requests')).length;
      const before = await waiting();
      await victims.die(`identity.log_out.${failpoint}`, 'leave', tenantId, origin, { session }, callerOf(header));
      assert.equal(await isIn(header), false);
      assert.equal(await waiting(), before);
      const again = await enterSaml(person, '_again');
      const left = await world.two.identity.leave(tenantId, origin, { session: again.session }, callerOf(again.header));
      assert.match(left.next, /^https:\/\/idp\.example\.org\/slo\?SAMLRequest=/);
      assert.equal(await isIn(again.header), false);
      assert.equal(await waiting(), before + 1);
    });

  it('the provider’s answer to a log-out of ours: the same answer counts, once', async () => {
    const { session, header } = await enterSaml(newSamlPerson({ email: 'answered@saml.example' }), '_answered');
    const { tenantId, origin } = at();
    const { identity } = world.two;
    const left = await identity.leave(tenantId, origin, { session }, callerOf(header));
    const [asked] = await world.query<{ id: string }>(
      'SELECT request_id AS id FROM freehold.sign_on_requests WHERE connection_id = $1 ORDER BY expires_at DESC LIMIT 1',
      [saml],
    );
    const destination = `${origin}/-/sign-on/saml/log-out/${saml}`;
    const relayState = new URL(left.next).searchParams.get('RelayState')!;
    const message = posted(logOutResponse(destination, asked!.id), idp.signer, relayState);
    const caller = callerOf(cookieHeaderOf(left.setCookies));
    const earlier = await counts();
    await victims.die(
      'identity.log_out.answer.before_commit',
      'finishLeaving',
      tenantId,
      origin,
      saml,
      message,
      caller,
    );
    await unchangedSince(earlier);
    const finish = () => identity.finishLeaving(tenantId, origin, saml, message, caller);
    assert.deepEqual(await finish(), { organisation: 'The works', succeeded: true });
    await assert.rejects(finish(), { code: 'FH_LOG_OUT_NOT_FOUND' });
  });

  it('nothing of all that is left waiting, and owners still change what they killed', async () => {
    const owner = await world.owner();
    const { tenantId } = at();
    await world.two.identity.setConnectionState(tenantId, owner, saml, 'off', shown);
    const left = await world.query(
      'SELECT 1 FROM freehold.sessions JOIN freehold.sign_on_sessions USING (session_id) WHERE connection_id = $1',
      [saml],
    );
    assert.deepEqual(left, []);
  });
});
