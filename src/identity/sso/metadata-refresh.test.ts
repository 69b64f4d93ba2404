import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { armFailpoints, silentLog, systemClock } from '#src/kernel/index.ts';
import { createOutgoing } from '#src/outgoing/index.ts';
import { startTestServer, type TestServer } from '../../outgoing/test-server.fixture.ts';
import { createSigner, nowMs, type Signer } from '../saml/idp.fixture.ts';
import { judgeRollover, trustedCertificates } from './metadata-rollover.ts';
import { newSamlPerson, SamlProvider } from './saml-provider.fixture.ts';
import { originOf, SignOnWorld, shown } from './sign-on-world.fixture.ts';
import type { ConnectionId, SamlSettings } from './types.ts';

const dayMs = 86_400_000;
const sinceThen = systemClock.now() - nowMs;
const newSigner = (from = -dayMs, until = dayMs) =>
  createSigner(2048, { from: sinceThen + from, until: sinceThen + until });
const pemOf = ({ certificate }: Signer) => certificate.replace(/\s/g, '');

describe('metadata are read again by themselves', { timeout: 600_000 }, () => {
  let server: TestServer;
  let world: SignOnWorld;
  let idp: SamlProvider;
  let connectionId: ConnectionId;
  /** What the provider's server answers; a number: a status. */
  let answer: string | number;
  let reads = 0;

  before(async () => {
    server = await startTestServer((_, res) => {
      reads++;
      if (typeof answer === 'number') res.writeHead(answer).end('no');
      else res.end(answer);
    });
    const outgoing = createOutgoing({
      allow: [`idp.example:${server.port}`],
      ca: server.ca,
      log: silentLog,
      resolve: async () => ['127.0.0.1'],
    });
    world = await SignOnWorld.start(outgoing);
    idp = await SamlProvider.start();
    answer = idp.metadata();
    const metadataUrl = `https://idp.example:${server.port}/metadata`;
    connectionId = await world.connect({ saml: { metadataUrl }, trustsEmails: true });
    await world.connect({ saml: { metadataXml: idp.metadata() }, trustsEmails: true }, world.two.b);
  });
  after(async () => {
    await world?.stop();
    await server?.stop();
  });

  const settings = async () => {
    const [row] = await world.query<{ settings: SamlSettings }>(
      'SELECT settings FROM freehold.sign_on_connections WHERE connection_id = $1',
      [connectionId],
    );
    return row!.settings;
  };
  /** As if the last reading had been so long ago. */
  const age = (ms: number) =>
    world.query(
      `UPDATE freehold.sign_on_connections SET settings = jsonb_set(settings, '{metadataReading,triedAt}', to_jsonb($2::text)) WHERE connection_id = $1`,
      [connectionId, new Date(systemClock.now() - ms).toISOString()],
    );
  const trusted = async () =>
    trustedCertificates(await settings(), systemClock.now()).map((pem) => pem.replace(/\s/g, ''));
  const events = async () =>
    (
      await world.query<{ event: string }>(
        `SELECT name || coalesce(' ' || (details ->> 'reason'), '') AS event FROM freehold.audit_events WHERE name LIKE 'connection.metadata_%' ORDER BY position`,
      )
    ).map(({ event }) => event.slice('connection.metadata_'.length));
  const enter = async (signer: Signer) => {
    const { url, cookie } = await world.begin(connectionId);
    const { a } = world.two;
    const outcome = await world.two.identity.finishSaml(
      a.tenantId,
      originOf(a),
      idp.answer(url, newSamlPerson(), { signer }),
      { cookieHeader: cookie, address: '192.0.2.1', userAgent: 'test' },
    );
    assert.ok(outcome.tested === undefined && outcome.entered.session);
  };
  const readAgain = async (ms = dayMs) => {
    await age(ms);
    await world.begin(connectionId);
    await world.two.identity.settle();
  };

  it('once a day, at a sign-in and beside it, by one of many', async () => {
    const before = reads;
    await enter(idp.signer);
    await world.two.identity.settle();
    assert.equal(reads, before);
    await age(dayMs);
    await Promise.all(Array.from({ length: 8 }, () => enter(idp.signer)));
    await world.two.identity.settle();
    assert.equal(reads, before + 1);
    assert.equal((await settings()).metadataReading!.problem, null);
    assert.deepEqual(await events(), []);
  });

  it('a provider that brings a key in beside the old one, then takes that away, is followed', async () => {
    const next = await newSigner();
    const both = idp
      .metadata()
      .replace(
        /(<md:KeyDescriptor use="signing">)/,
        () => `${keyDescriptorOf(idp, next)}<md:KeyDescriptor use="signing">`,
      );
    answer = both;
    await readAgain();
    assert.deepEqual((await trusted()).sort(), [pemOf(next), pemOf(idp.signer)].sort());
    await enter(next);
    await enter(idp.signer);
    answer = idp.metadata({ signer: next });
    await readAgain();
    assert.deepEqual(await trusted(), [pemOf(next)]);
    await enter(next);
    await assert.rejects(enter(idp.signer), { code: 'FH_SIGN_ON_REFUSED' });
    assert.deepEqual(await events(), ['changed', 'changed']);
    // And on with a key that replaces it all at once: the answer itself is what has it read; the old one counts for some days.
    const third = await newSigner();
    answer = idp.metadata({ signer: third });
    await age(3_600_000);
    await enter(third);
    assert.deepEqual((await trusted()).sort(), [pemOf(third), pemOf(next)].sort());
    await enter(next);
    await readAgain();
    assert.equal((await trusted()).length, 2);
    await world.query(
      `UPDATE freehold.sign_on_connections SET settings = jsonb_set(settings, '{retiring,until}', '"2020-01-01T00:00:00.000Z"') WHERE connection_id = $1`,
      [connectionId],
    );
    await assert.rejects(enter(next), { code: 'FH_SIGN_ON_REFUSED' });
    answer = idp.metadata();
    await world.two.identity.changeConnection(
      world.two.a.tenantId,
      await world.owner(),
      connectionId,
      { metadataUrl: `https://idp.example:${server.port}/metadata` },
      shown,
    );
    // What an owner gives is all there is.
    assert.deepEqual(await trusted(), [pemOf(idp.signer)]);
    await world.query(`UPDATE freehold.sign_on_connections SET last_test = '{"passed": true}'`);
  });

  it('what is broken, foreign, shrunk or away changes nothing, warns once, and is tried again an hour later', async () => {
    const before = await trusted();
    const kept = await settings();
    const expired = await newSigner(-3 * dayMs, -2 * dayMs);
    const future = await newSigner(2 * dayMs, 3 * dayMs);
    const weak = await createSigner(1024, { from: sinceThen - dayMs, until: sinceThen + dayMs });
    const whole = idp.metadata();
    const cases: [string | number, string][] = [
      [500, 'provider_unreachable'],
      [404, 'provider_unreachable'],
      ['', 'malformed'],
      [whole.slice(0, -20), 'malformed'],
      ['<html>Sign in</html>', 'metadata'],
      [`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${whole}`, 'doctype'],
      [idp.metadata({ entityId: 'https://other.example' }), 'metadata_entity_id_changed'],
      [idp.metadata({ validUntil: '2020-01-01T00:00:00Z' }), 'metadata_expired'],
      [idp.metadata({ signer: expired }), 'metadata_certificate'],
      [idp.metadata({ signer: future }), 'metadata_certificate'],
      [idp.metadata({ signer: weak }), 'metadata_certificate'],
      [whole.replace(/<md:KeyDescriptor.*<\/md:KeyDescriptor>/, ''), 'metadata_certificate'],
      [whole.replace(/<md:SingleSignOnService[^>]*>/, ''), 'metadata_sso'],
      [whole.replace(/https:\/\/idp\.example\.org\/sso/, 'http://idp.example.org/sso'), 'metadata_url'],
      [idp.metadata({ slo: false }), 'metadata_shrunk'],
      [`${whole}${' '.repeat(1_100_000)}`, 'provider_unreachable'],
    ];
    const since = (await events()).length;
    for (const [text, reason] of cases) {
      answer = text;
      await readAgain(3_700_000 + dayMs);
      const found = await settings();
      assert.equal(found.metadataReading!.problem, reason);
      const { metadataReading: _, ...what } = found;
      const { metadataReading: __, ...was } = kept;
      assert.deepEqual(what, was, reason);
    }
    assert.deepEqual(await trusted(), before);
    const warned = (await events()).slice(since);
    const expected = cases.map(([, reason]) => `refused ${reason}`);
    assert.deepEqual(
      warned,
      expected.filter((one, index) => one !== expected[index - 1]),
    );
    // Not at once again, although it failed.
    const count = reads;
    await world.begin(connectionId);
    await world.two.identity.settle();
    assert.equal(reads, count);
    answer = whole;
    await readAgain(3_700_000);
    assert.equal((await settings()).metadataReading!.problem, null);
    await enter(idp.signer);
  });

  it('metadata that have run out are read before the sign-in goes on; answers under unknown keys have them read now and then only', async () => {
    await world.query(
      `UPDATE freehold.sign_on_connections SET settings = jsonb_set(settings, '{validUntil}', '"2020-01-01T00:00:00Z"') WHERE connection_id = $1`,
      [connectionId],
    );
    await age(dayMs);
    await enter(idp.signer);
    assert.equal((await settings()).validUntil, null);
    const count = reads;
    for (let n = 0; n < 3; n++) await assert.rejects(enter(idp.stranger), { code: 'FH_SIGN_ON_REFUSED' });
    assert.equal(reads, count);
  });

  it('a process that ends while it reads leaves the keys as they are, and the next reading to others', async () => {
    const before = await trusted();
    armFailpoints('identity.metadata.read=error');
    try {
      await readAgain();
    } finally {
      armFailpoints('');
    }
    assert.deepEqual(await trusted(), before);
    await enter(idp.signer);
    const count = reads;
    await readAgain(3_700_000 + dayMs);
    assert.equal(reads, count + 1);
  });

  it('an owner may type the sign-out address, which metadata without one leave, and those with one replace', async () => {
    const { identity, a } = world.two;
    const slo = async () => {
      const { connections } = await identity.getSignOnSettings(a.tenantId, await world.owner());
      const { settings } = connections.find((one) => one.connectionId === typed)!;
      return (settings as SamlSettings).slo?.url ?? null;
    };
    const change = async (input: object) =>
      identity.changeConnection(a.tenantId, await world.owner(), typed, input, shown);
    const bare = idp.metadata({ slo: false });
    const typed = await world.connect({ saml: { metadataXml: bare }, trustsEmails: true });
    await world.query('UPDATE freehold.sign_on_domains SET connection_id = $1', [connectionId]);
    assert.equal(await slo(), null);
    for (const sloUrl of [
      'http://idp.example.org/out',
      'javascript:alert(1)',
      '//evil.example',
      'https://u:p@evil.example/',
      'https://x/"><script>',
    ])
      await assert.rejects(change({ sloUrl }), { code: 'FH_CONNECTION_REFUSED' }, sloUrl);
    await change({ sloUrl: ' https://idp.example.org/typed?x=1 ' });
    assert.equal(await slo(), 'https://idp.example.org/typed?x=1');
    await change({ name: 'Other' });
    await change({ metadataXml: bare });
    assert.equal(await slo(), 'https://idp.example.org/typed?x=1');
    await change({ metadataXml: idp.metadata() });
    assert.equal(await slo(), 'https://idp.example.org/slo');
    await change({ sloUrl: '' });
    assert.equal(await slo(), null);
  });

  it('of two sets of keys that have nothing in common both count, and never none (a table)', async () => {
    const [old, young] = [idp.signer, await newSigner()];
    const before = { ...(await settings()), certificates: [old.certificate] };
    const read = (certificates: string[], slo = before.slo) =>
      judgeRollover(
        before,
        {
          entityId: before.idpEntityId,
          ssoUrl: before.ssoUrl,
          certificates,
          wantsSignedRequests: false,
          ...(slo && { slo }),
        },
        systemClock.now(),
      );
    const abrupt = read([young.certificate]);
    assert.ok(abrupt.ok && abrupt.isAbrupt);
    assert.equal(trustedCertificates(abrupt.settings, systemClock.now()).length, 2);
    assert.equal(trustedCertificates(abrupt.settings, systemClock.now() + 5 * dayMs).length, 1);
    const same = read([old.certificate]);
    assert.ok(same.ok && !same.hasChanged && !same.isAbrupt);
    assert.deepEqual(read([]), { ok: false, reason: 'metadata_certificate' });
    assert.deepEqual(read([young.certificate], null), { ok: false, reason: 'metadata_shrunk' });
  });
});

const keyDescriptorOf = (idp: SamlProvider, signer: Signer) =>
  /<md:KeyDescriptor.*<\/md:KeyDescriptor>/.exec(idp.metadata({ signer }))![0];
