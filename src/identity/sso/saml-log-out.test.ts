import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { inflateRawSync } from 'node:zlib';
import { armFailpoints, systemClock } from '#src/kernel/index.ts';
import type { LogoutMessage } from '../saml/index.ts';
import { hashRecoveryCode, newRecoveryCode, parseRecoveryCode } from '../second-factors/recovery-codes.ts';
import type { StartedSession } from '../sessions/session-start.ts';
import { cookieHeaderOf, type TestTenant } from '../two-tenants.fixture.ts';
import { forgedLogOuts } from './forged-log-outs.fixture.ts';
import { inRedirect, logOutRequest, logOutResponse, posted, redirected } from './log-out-messages.fixture.ts';
import { newSamlPerson, type SamlPerson, SamlProvider } from './saml-provider.fixture.ts';
import { originOf, SignOnWorld, shown } from './sign-on-world.fixture.ts';
import type { ConnectionId } from './types.ts';

interface EnterOptions {
  readonly connectionId?: ConnectionId;
  readonly tenant?: TestTenant;
  /** Default: now. */
  readonly authnInstant?: string;
}

const refused = { code: 'FH_LOG_OUT_REFUSED' };
const gone = { code: 'FH_LOG_OUT_NOT_FOUND' };

describe('SAML single log-out', { timeout: 600_000 }, () => {
  let world: SignOnWorld;
  let idp: SamlProvider;
  let inA: ConnectionId;
  let inB: ConnectionId;

  before(async () => {
    world = await SignOnWorld.start();
    idp = await SamlProvider.start();
    const saml = { metadataXml: idp.metadata() };
    inA = await world.connect({ saml, trustsEmails: true });
    inB = await world.connect({ saml, trustsEmails: true }, world.two.b);
  });
  after(() => world?.stop());

  const sloUrlOf = (connectionId: string, tenant: TestTenant = world.two.a) =>
    `${originOf(tenant)}/-/sign-on/saml/log-out/${connectionId}`;

  /** The provider's request about this name, and these indexes of it. */
  const endOf = (nameId: string, ...sessionIndexes: string[]) =>
    logOutRequest({ destination: sloUrlOf(inA), nameId, sessionIndexes });
  /** A browser with a session that the provider calls `index`. */
  async function enter(person: SamlPerson, index: string, options: EnterOptions = {}) {
    const outcome = await answer(person, index, options);
    assert.ok(outcome.tested === undefined && outcome.entered.session);
    return outcome.entered as StartedSession;
  }
  async function answer(
    person: SamlPerson,
    index: string,
    { connectionId = inA, tenant = world.two.a, authnInstant }: EnterOptions = {},
  ) {
    const { url, cookie } = await world.begin(connectionId, { tenant });
    const alter = (xml: string) =>
      xml
        .replace('"_s0001"', `"${index}"`)
        .replace(/AuthnInstant="[^"]+"/, `AuthnInstant="${authnInstant ?? new Date(systemClock.now()).toISOString()}"`);
    return world.two.identity.finishSaml(tenant.tenantId, originOf(tenant), idp.answer(url, person, { alter }), {
      cookieHeader: cookie,
      address: '192.0.2.1',
      userAgent: 'test',
    });
  }
  const isIn = async ({ setCookies }: StartedSession, tenant: TestTenant = world.two.a) =>
    (await world.two.identity.authenticate(tenant.tenantId, cookieHeaderOf(setCookies))) !== undefined;
  const end = (received: LogoutMessage, connectionId: string = inA, tenant: TestTenant = world.two.a) =>
    world.two.identity.endFromProvider(tenant.tenantId, originOf(tenant), connectionId, received, {
      address: '192.0.2.7',
    });
  const events = (name: string, tenant: TestTenant = world.two.a) =>
    world.query<{ details: Record<string, unknown> }>(
      'SELECT details FROM freehold.audit_events WHERE name = $1 ORDER BY position',
      [name],
      tenant,
    );
  const messageIn = (url: string, field: 'SAMLRequest' | 'SAMLResponse') =>
    inflateRawSync(Buffer.from(new URL(url).searchParams.get(field)!, 'base64')).toString('utf8');
  const leave = async ({ session, setCookies }: StartedSession, tenant: TestTenant = world.two.a) => {
    const left = await world.two.identity.leave(
      tenant.tenantId,
      originOf(tenant),
      { session, address: '192.0.2.1' },
      { cookieHeader: cookieHeaderOf(setCookies), address: '192.0.2.1' },
    );
    return { ...left, cookie: cookieHeaderOf(left.setCookies) };
  };

  it('a provider ends exactly the session that it names, and is told so under our signature', async () => {
    const person = newSamlPerson();
    const [one, other] = [await enter(person, '_one'), await enter(person, '_other')];
    const twin = await enter(person, '_one', { connectionId: inB, tenant: world.two.b });
    const colleague = await enter(newSamlPerson(), '_one');
    const xml = endOf(person.nameId, '_one');
    const url = (await end(redirected(inRedirect(xml, idp.signer, { relayState: 'r "&\r\n<x>' }))))!;
    assert.deepEqual(await Promise.all([one, other, colleague].map((each) => isIn(each))), [false, true, true]);
    assert.equal(await isIn(twin, world.two.b), true);
    assert.ok(url.startsWith('https://idp.example.org/slo/done?SAMLResponse='));
    const asked = new URL(url).searchParams;
    assert.equal(asked.get('RelayState'), 'r "&\r\n<x>');
    assert.ok(asked.has('Signature'));
    const answer = messageIn(url, 'SAMLResponse');
    assert.match(answer, / InResponseTo="_out\d+"/);
    assert.match(answer, /status:Success"/);
    const [last] = (await events('session.ended_by_provider')).slice(-1);
    assert.equal(last!.details.connection, 'The works');
    assert.equal((await events('session.ended_by_provider', world.two.b)).length, 0);
    // By a form; and of a name without an index, all.
    const all = endOf(person.nameId);
    const third = await enter(person, '_third');
    assert.ok(await end(posted(all, idp.signer)));
    assert.deepEqual(await Promise.all([other, third, colleague].map((each) => isIn(each))), [false, false, true]);
    assert.equal(await isIn(twin, world.two.b), true);
  });

  it('a match in part ends nothing, and is answered as if nobody had been signed in', async () => {
    const person = newSamlPerson();
    const stays = await enter(person, '_stays');
    for (const [nameId, sessionIndexes] of [
      [person.nameId, ['_stay']],
      [person.nameId, ['_stays_', '_STAYS', '%', '_s%']],
      [`${person.nameId}x`, ['_stays']],
      [person.nameId.slice(0, -1), []],
      [person.email, ['_stays']],
      ['%', []],
    ] as const) {
      const xml = logOutRequest({ destination: sloUrlOf(inA), nameId, sessionIndexes });
      assert.match((await end(posted(xml, idp.signer)))!, /^https:\/\/idp\.example\.org\/slo\/done\?/);
    }
    assert.ok(await isIn(stays));
    // Who signed in with a password is not the provider's to end, whatever the name is.
    const { session } = await world.owner();
    const xml = endOf(session.user.email);
    await end(posted(xml, idp.signer));
    assert.equal(
      (await world.query('SELECT 1 FROM freehold.sessions WHERE session_id = $1', [session.sessionId])).length,
      1,
    );
  });

  it('forged, foreign, old and broken messages end no session, and say nothing', async (t) => {
    const person = newSamlPerson();
    const mine = await enter(person, '_s0001');
    const twin = await enter(person, '_s0001', { connectionId: inB, tenant: world.two.b });
    const counts = () => Promise.all([world.sessions(), world.sessions(world.two.b)]);
    const before = await counts();
    const cases = forgedLogOuts({
      idp,
      nameId: person.nameId,
      sloUrl: sloUrlOf(inA),
      foreignSloUrl: sloUrlOf(inB, world.two.b),
    });
    assert.ok(cases.length >= 30, `${cases.length} cases`);
    t.diagnostic(`${cases.length} forged log-out messages`);
    const found: string[] = [];
    for (const { name, received } of cases) {
      const error = await end(received).then(
        () => assert.fail(name),
        (thrown) => thrown,
      );
      assert.deepEqual([error.code, error.detail], ['FH_LOG_OUT_REFUSED', undefined], name);
      found.push(`${name}: ${(await events('session.log_out_refused')).at(-1)?.details.reason}`);
    }
    assert.deepEqual(
      found,
      cases.map(({ name, reason }) => `${name}: ${reason}`),
    );
    assert.deepEqual(await counts(), before);
    assert.deepEqual([await isIn(mine), await isIn(twin, world.two.b)], [true, true]);
  });

  it('a message is good once, at one tenant, of many at once for one', async () => {
    const person = newSamlPerson();
    await enter(person, '_race');
    const xml = endOf(person.nameId, '_race');
    const message = redirected(inRedirect(xml, idp.signer));
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => end(message)));
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1);
    // The same message in another wrapping is the same message.
    const again = await enter(person, '_race');
    await assert.rejects(end(posted(xml, idp.signer)), refused);
    assert.equal((await events('session.log_out_refused')).at(-1)?.details.reason, 'replayed');
    assert.ok(await isIn(again));
    for (const [connectionId, tenant] of [
      [inB, world.two.a],
      [inA, world.two.b],
      ['con_none', world.two.a],
    ] as const)
      await assert.rejects(end(message, connectionId, tenant), { code: 'FH_CONNECTION_NOT_FOUND' });
    await assert.rejects(end(message, inB, world.two.b), refused);
  });

  it('what was ended stays ended: an answer that was written before the log-out begins no session (SAML core 3.7.3.2)', async () => {
    const person = newSamlPerson();
    const authnInstant = new Date(systemClock.now() - 60_000).toISOString();
    await enter(person, '_late', { authnInstant });
    const end1 = endOf(person.nameId, '_late');
    await end(posted(end1, idp.signer));
    await assert.rejects(answer(person, '_late', { authnInstant }), { code: 'FH_SIGN_ON_REFUSED' });
    assert.equal((await world.reasons()).at(-1), 'session_expired');
    // Another session of the same person, the same one begun anew, and the same names at the other tenant.
    assert.ok(await enter(person, '_another', { authnInstant }));
    assert.ok(await enter(person, '_late'));
    assert.ok(await enter(person, '_late', { authnInstant, connectionId: inB, tenant: world.two.b }));
    await end(posted(endOf(person.nameId), idp.signer));
    await assert.rejects(answer(person, '_third', { authnInstant }), { code: 'FH_SIGN_ON_REFUSED' });
  });

  it('who has a second factor here is signed out, too: after the second step, and while it is awaited', async () => {
    const person = newSamlPerson();
    const first = await enter(person, '_before');
    const { identity, a } = world.two;
    const { userId } = first.session.user;
    await world.query(
      'INSERT INTO freehold.totp_factors (user_id, sealed_secret, confirmed_at) VALUES ($1, $2, now())',
      [userId, Buffer.alloc(49)],
    );
    const codes = Array.from({ length: 4 }, newRecoveryCode);
    for (const code of codes)
      await world.query('INSERT INTO freehold.recovery_codes (user_id, code_hash) VALUES ($1, $2)', [
        userId,
        hashRecoveryCode(userId, parseRecoveryCode(code)!),
      ]);
    const wait = async (index: string) => {
      const outcome = await answer(person, index);
      assert.ok(outcome.tested === undefined && outcome.entered.session === undefined);
      return cookieHeaderOf(outcome.entered.setCookies);
    };
    const complete = (cookieHeader: string) =>
      identity.completeSignIn(a.tenantId, { code: codes.pop()! }, { cookieHeader });
    const [entered, other] = [await complete(await wait('_step')), await complete(await wait('_step2'))];
    const waiting = await wait('_step');
    const waitingOther = await wait('_step3');
    await end(posted(endOf(person.nameId, '_step'), idp.signer));
    assert.deepEqual([await isIn(entered), await isIn(other)], [false, true]);
    await assert.rejects(complete(waiting), { code: 'FH_CHALLENGE_NOT_FOUND' });
    assert.ok(await complete(waitingOther));
  });

  it('a sign-in and the log-out of its session at the same moment leave nobody signed in', async () => {
    const person = newSamlPerson();
    await enter(person, '_first');
    for (let round = 0; round < 15; round++) {
      const index = `_round${round}`;
      const authnInstant = new Date(systemClock.now() - 30_000).toISOString();
      const xml = endOf(person.nameId, index);
      const [entered] = await Promise.allSettled([
        answer(person, index, { authnInstant }),
        end(posted(xml, idp.signer)),
      ]);
      if (entered.status === 'fulfilled') {
        const { tested, ...rest } = entered.value;
        assert.ok(tested === undefined && 'entered' in rest);
        assert.equal(await isIn(rest.entered as StartedSession), false, index);
      }
    }
  });

  it('a failure before the end leaves a message good; one after our session ended changes nothing about that', async () => {
    const person = newSamlPerson();
    const first = await enter(person, '_fails');
    const message = posted(endOf(person.nameId, '_fails'), idp.signer);
    const failing = async (failpoint: string, act: () => Promise<unknown>) => {
      armFailpoints(`${failpoint}=error`);
      try {
        await assert.rejects(act());
      } finally {
        armFailpoints('');
      }
    };
    await failing('identity.log_out.before_commit', () => end(message));
    assert.equal(await isIn(first), true);
    assert.ok(await end(message));
    assert.equal(await isIn(first), false);
    const second = await enter(person, '_leaves');
    await failing('identity.log_out.session_ended', () => leave(second));
    assert.equal(await isIn(second), false);
  });

  it('nothing is ended over a connection that is off or has no keys, and without an address nobody is answered', async () => {
    const { identity, a } = world.two;
    const silent = await world.connect({ saml: { metadataXml: idp.metadata({ slo: false }) }, trustsEmails: true });
    const person = newSamlPerson();
    const session = await enter(person, '_silent', { connectionId: silent });
    const ask = () =>
      posted(
        logOutRequest({ destination: sloUrlOf(silent), nameId: person.nameId, sessionIndexes: ['_silent'] }),
        idp.signer,
      );
    assert.equal(await end(ask(), silent), undefined);
    assert.equal(await isIn(session), false);
    await identity.setConnectionState(a.tenantId, await world.owner(), silent, 'off', shown);
    await assert.rejects(end(ask(), silent), refused);
    assert.equal((await events('session.log_out_refused')).at(-1)?.details.reason, 'connection_off');
    await world.query(
      `UPDATE freehold.sign_on_connections SET state = 'on', sealed_secret = NULL WHERE connection_id = $1`,
      [silent],
    );
    await assert.rejects(end(ask(), silent), refused);
    assert.equal((await events('session.log_out_refused')).at(-1)?.details.reason, 'secret_missing');
    // The domain speaks for this connection now; back to the other one.
    await world.query('UPDATE freehold.sign_on_domains SET connection_id = $1', [inA]);
  });

  it('signing out here ends the session first, then asks the provider, whose answer is for this browser', async () => {
    const { identity, a, b } = world.two;
    const person = newSamlPerson();
    const left = await leave(await enter(person, '_leaving'));
    assert.ok(left.next.startsWith('https://idp.example.org/slo?SAMLRequest='));
    const request = messageIn(left.next, 'SAMLRequest');
    assert.match(request, new RegExp(`<saml:NameID Format="[^"]+persistent">${person.nameId}</saml:NameID>`));
    assert.match(request, /<samlp:SessionIndex>_leaving<\/samlp:SessionIndex>/);
    const { searchParams } = new URL(left.next);
    const relayState = searchParams.get('RelayState')!;
    assert.ok(searchParams.has('Signature') && relayState.length === 43);
    const id = / ID="([^"]+)"/.exec(request)![1]!;

    const finish = (received: LogoutMessage, cookie: string | undefined = left.cookie, at = inA, tenant = a) =>
      identity.finishLeaving(tenant.tenantId, originOf(tenant), at, received, { cookieHeader: cookie });
    const good = logOutResponse(sloUrlOf(inA), id);
    const answer = redirected(inRedirect(good, idp.signer, { relayState }));
    const other = await leave(await enter(newSamlPerson(), '_other_browser'));
    const wrongState = new URL(other.next).searchParams.get('RelayState')!;
    for (const [received, cookie] of [
      [answer, undefined],
      [answer, other.cookie],
      [redirected(inRedirect(good, idp.signer)), left.cookie],
      [redirected(inRedirect(good, idp.signer, { relayState: '//evil.example' })), left.cookie],
      [posted(good, idp.signer, wrongState), left.cookie],
      [redirected(`${(answer as { rawQuery: string }).rawQuery}&RelayState=${relayState}`), left.cookie],
    ] as const)
      await assert.rejects(finish(received, cookie ?? ''), gone);
    await assert.rejects(finish(answer, left.cookie, inB, b), gone);
    for (const [received, reason] of [
      [posted(good, undefined, relayState), 'unsigned'],
      [posted(good, idp.stranger, relayState), 'signature_invalid'],
      [posted(logOutResponse(sloUrlOf(inB, b), id), idp.signer, relayState), 'destination'],
      [posted(logOutResponse(sloUrlOf(inA), '_other'), idp.signer, relayState), 'in_response_to'],
      [posted(logOutRequest({ destination: sloUrlOf(inA), nameId: 'x' }), idp.signer, relayState), 'not_saml'],
    ] as const) {
      await assert.rejects(finish(received), refused);
      assert.equal((await events('session.log_out_refused')).at(-1)?.details.reason, reason);
    }
    assert.deepEqual(await finish(answer), { organisation: 'The works', succeeded: true });
    await assert.rejects(finish(answer), gone);
    assert.deepEqual((await events('session.provider_log_out_answered')).at(-1)?.details.succeeded, true);

    const failing = await leave(await enter(person, '_failing'));
    const failed = logOutResponse(
      sloUrlOf(inA),
      / ID="([^"]+)"/.exec(messageIn(failing.next, 'SAMLRequest'))![1]!,
      'Responder',
    );
    const state = new URL(failing.next).searchParams.get('RelayState')!;
    assert.deepEqual(await finish(posted(failed, idp.signer, state), failing.cookie), {
      organisation: 'The works',
      succeeded: false,
    });
  });

  it('the session ends here whatever the provider is, and an answer to a sign-out is none to a sign-in', async () => {
    const { identity, a } = world.two;
    const session = await enter(newSamlPerson(), '_x');
    await world.query(
      `UPDATE freehold.sign_on_connections SET settings = jsonb_set(settings, '{validUntil}', '"2020-01-01T00:00:00Z"') WHERE connection_id = $1`,
      [inA],
    );
    const left = await leave(session);
    await world.query(
      `UPDATE freehold.sign_on_connections SET settings = jsonb_set(settings, '{validUntil}', 'null') WHERE connection_id = $1`,
      [inA],
    );
    assert.equal(left.next, '/-/signed-out?organisation=not-asked');
    assert.equal(await isIn(session), false);
    // Somebody who came with a password goes to the page that says so.
    const owner = await world.owner();
    const { next } = await identity.leave(a.tenantId, originOf(a), owner, {});
    assert.equal(next, '/-/signed-out');
    const asked = await leave(await enter(newSamlPerson(), '_y'));
    const relayState = new URL(asked.next).searchParams.get('RelayState')!;
    await assert.rejects(
      identity.finishSaml(
        a.tenantId,
        originOf(a),
        { samlResponse: 'AAAA', relayState },
        { cookieHeader: asked.cookie },
      ),
      { code: 'FH_SIGN_ON_NOT_FOUND' },
    );
  });
});
