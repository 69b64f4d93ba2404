import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { createIdentity, type Identity } from '../identity.ts';
import { createSamlEngine } from '../saml/index.ts';
import { cookieHeaderOf, createTwins, type TestTenant } from '../two-tenants.fixture.ts';
import {
  type AnswerOptions,
  newSamlPerson,
  readRequest,
  type SamlAnswer,
  type SamlPerson,
  SamlProvider,
} from './saml-provider.fixture.ts';
import { nameIdFormats } from './saml-setup.ts';
import { originOf, SignOnWorld, shown } from './sign-on-world.fixture.ts';
import type { ConnectionId, SamlSettings } from './types.ts';

/** Numbers in titles: the catalogue of attacks in ../saml/catalogue.fixture.ts. */

const refused = { code: 'FH_SIGN_ON_REFUSED' };
const gone = { code: 'FH_SIGN_ON_NOT_FOUND' };

describe('SAML sign-in', { timeout: 600_000 }, () => {
  let world: SignOnWorld;
  let idp: SamlProvider;
  let inA: ConnectionId;
  let inB: ConnectionId;

  before(async () => {
    world = await SignOnWorld.start();
    idp = await SamlProvider.start();
    const saml = { metadataXml: idp.metadata() };
    inA = await world.connect({ saml, trustsEmails: true, roleClaim: 'groups', adminValues: ['it'] });
    inB = await world.connect({ saml, trustsEmails: true }, world.two.b);
  });
  after(() => world?.stop());

  const finish = (
    answer: SamlAnswer,
    cookie: string | undefined,
    tenant: TestTenant = world.two.a,
    identity: Identity = world.two.identity,
  ) =>
    identity.finishSaml(tenant.tenantId, originOf(tenant), answer, {
      cookieHeader: cookie,
      address: '192.0.2.1',
      userAgent: 'test',
    });
  const enter = async (
    person: SamlPerson,
    options: AnswerOptions & { connectionId?: ConnectionId; tenant?: TestTenant } = {},
  ) => {
    const { connectionId = inA, tenant = world.two.a, ...how } = options;
    const { url, cookie } = await world.begin(connectionId, { tenant, next: '/items' });
    const outcome = await finish(idp.answer(url, person, how), cookie, tenant);
    assert.ok(outcome.tested === undefined);
    return outcome;
  };
  const reasonOf = async (person: SamlPerson, options?: Parameters<typeof enter>[1]) => {
    await assert.rejects(enter(person, options), refused);
    return (await world.reasons(options?.tenant)).at(-1);
  };
  const settingsOf = async (connectionId: ConnectionId) => {
    const [row] = await world.query<{ settings: SamlSettings }>(
      'SELECT settings FROM freehold.sign_on_connections WHERE connection_id = $1',
      [connectionId],
    );
    return row!.settings;
  };

  it('asks with a signed request, by which the browser comes back as the user whom the provider names', async () => {
    const { url } = await world.begin(inA);
    const asked = readRequest(url);
    assert.ok(url.startsWith('https://idp.example.org/sso?SAMLRequest='));
    assert.equal(asked.acsUrl, 'https://acme.localhost/-/sign-on/saml');
    assert.equal(asked.spEntityId, 'https://acme.localhost/-/api/sign-on/saml/metadata');
    assert.ok(asked.isSigned);
    assert.match(
      asked.xml,
      new RegExp(`<samlp:NameIDPolicy AllowCreate="true" Format="${nameIdFormats.persistent}"/>`),
    );
    const person = newSamlPerson();
    const first = await enter(person);
    assert.equal(first.next, '/items');
    const { user } = first.entered.session!;
    assert.deepEqual([user.email, user.role, user.name.startsWith('Person ')], [person.email, 'member', true]);
    const married = { ...person, attributes: { email: ['married@people.example'], groups: ['staff', 'it'] } };
    const again = (await enter(married)).entered.session!.user;
    assert.deepEqual([again.userId, again.email, again.role], [user.userId, person.email, 'admin']);
    const rows = await world.query<{ index: string }>(
      `SELECT session_index AS index FROM freehold.sign_on_sessions WHERE subject = $1`,
      [person.nameId],
    );
    assert.ok(rows.length > 0 && rows.every(({ index }) => index === '_s0001'));
  });

  it('opens what is encrypted to the key of its metadata, also to the one before', async () => {
    const { identity, a } = world.two;
    const certificate = async () => {
      const xml = await identity.getSamlMetadata(a.tenantId, originOf(a), inA);
      const [, base64] = /use="encryption">.*?<ds:X509Certificate>([^<]+)</s.exec(xml)!;
      return new X509Certificate(Buffer.from(base64!, 'base64')).toString();
    };
    const before = await certificate();
    assert.ok((await enter(newSamlPerson(), { mode: 'EAR', encryptTo: before })).entered.session);
    await identity.changeConnection(a.tenantId, await world.owner(), inA, { renewsKey: true }, shown);
    const renewed = await certificate();
    assert.notEqual(renewed, before);
    for (const encryptTo of [before, renewed])
      assert.ok((await enter(newSamlPerson(), { mode: 'EA', encryptTo })).entered.session);
    assert.equal(await reasonOf(newSamlPerson(), { mode: 'EA' }), 'decryption');
    // Of another connection of the same tenant there is nothing to be had, and of one that is none neither.
    await assert.rejects(identity.getSamlMetadata(world.two.b.tenantId, originOf(world.two.b), inA), {
      code: 'FH_CONNECTION_NOT_FOUND',
    });
    assert.doesNotMatch(await identity.getSamlMetadata(a.tenantId, originOf(a)), /Certificate/);
    const [{ sealed } = assert.fail()] = await world.query<{ sealed: Buffer }>(
      'SELECT sealed_secret AS sealed FROM freehold.sign_on_connections WHERE connection_id = $1',
      [inA],
    );
    assert.doesNotMatch(sealed.toString('latin1'), /PRIVATE/);
  });

  it('takes no answer that nobody asked for, or that was to another question (95, 96, 97)', async () => {
    const without = (xml: string) => xml.replaceAll(/ InResponseTo="[^"]+"/g, '');
    assert.equal(await reasonOf(newSamlPerson(), { alter: without }), 'unsolicited');
    const unknown = (xml: string) => xml.replaceAll(/InResponseTo="[^"]+"/g, 'InResponseTo="_unknown"');
    assert.equal(await reasonOf(newSamlPerson(), { alter: unknown }), 'in_response_to');
    const onlyOutside = (xml: string) => xml.replace(/(<saml:SubjectConfirmationData[^>]*) InResponseTo="[^"]+"/, '$1');
    assert.equal(await reasonOf(newSamlPerson(), { alter: onlyOutside }), 'in_response_to');
    // Without our RelayState there is not even a connection to judge with.
    const { url, cookie } = await world.begin(inA);
    const { samlResponse } = idp.answer(url, newSamlPerson());
    for (const relayState of ['', 'x'.repeat(43), 'https://evil.example', '//evil.example'])
      await assert.rejects(finish({ samlResponse, relayState }, cookie), gone);
  });

  it('is good in the browser and at the tenant that began it, and nowhere else (98, 99, 104, 105)', async () => {
    const { a, b } = world.two;
    const person = newSamlPerson();
    const mine = await world.begin(inA);
    const other = await world.begin(inA);
    const atB = await world.begin(inB, { tenant: b });
    const answer = idp.answer(mine.url, person);
    const sessions = await world.sessions(b);
    await assert.rejects(finish(answer, undefined), gone, 'no cookie');
    await assert.rejects(finish(answer, other.cookie), gone, "another browser's cookie");
    await assert.rejects(finish(answer, mine.cookie, b), gone, "this browser's cookie at the other tenant");
    await assert.rejects(finish(answer, atB.cookie, b), gone, 'a sign-in of its own at the other tenant');
    // The state of the one with the answer of the other: the request of this browser is not the one that is answered.
    await assert.rejects(
      finish({ ...answer, relayState: idp.answer(other.url, person).relayState }, other.cookie),
      refused,
    );
    assert.equal((await world.reasons()).at(-1), 'in_response_to');
    await assert.rejects(
      finish({ ...answer, relayState: idp.answer(atB.url, person).relayState }, atB.cookie, b),
      refused,
    );
    assert.equal((await world.reasons(b)).at(-1), 'destination');
    assert.equal(await world.sessions(b), sessions);
    // None of it used anything up (107).
    assert.ok((await finish(answer, mine.cookie, a)).tested === undefined);
  });

  it('is good once, whatever wraps the assertion, after a restart and at another node (100, 102, 103)', async () => {
    const person = newSamlPerson();
    const { url, cookie } = await world.begin(inA);
    const answer = idp.answer(url, person);
    await finish(answer, cookie);
    const sessions = await world.sessions();
    await assert.rejects(finish(answer, cookie), gone);
    // Nothing is kept in a process.
    const other = await newNode();
    await assert.rejects(finish(answer, cookie, world.two.a, other.identity), gone);
    await other.stop();
    assert.equal(await world.sessions(), sessions);
    // Were the request open once more, the assertion would still be used: in other bytes, too.
    const again = await world.begin(inA, { cookie });
    const { id, relayState } = readRequest(again.url);
    const [used] = await world.query<{ count: string }>('SELECT count(*) FROM freehold.saml_messages');
    await world.query('UPDATE freehold.sign_on_requests SET request_id = $1 WHERE request_id = $2', [
      readRequest(url).id,
      id,
    ]);
    const xml = Buffer.from(answer.samlResponse, 'base64').toString('utf8');
    const wrapped = Buffer.from(xml.replace(/ID="_r\d+"/, 'ID="_another"')).toString('base64');
    assert.notEqual(wrapped, answer.samlResponse);
    for (const samlResponse of [answer.samlResponse, wrapped])
      await assert.rejects(finish({ samlResponse, relayState }, cookie), gone);
    assert.equal(await world.sessions(), sessions);
    assert.deepEqual(await world.query('SELECT count(*) FROM freehold.saml_messages'), [used]);
  });

  it('makes one session of 1,000 posts at once at four nodes (101)', async () => {
    const person = newSamlPerson();
    await enter(person);
    const sessions = await world.sessions();
    const { url, cookie } = await world.begin(inA);
    const answer = idp.answer(url, person);
    const nodes = await Promise.all([newNode(), newNode(), newNode(), newNode()]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1_000 }, (_, index) => finish(answer, cookie, world.two.a, nodes[index % 4]!.identity)),
    );
    for (const node of nodes) await node.stop();
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal(await world.sessions(), sessions + 1);
  });

  it('leads to pages of its own only, wherever it was begun (106)', async () => {
    for (const next of [
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      'javascript:alert(1)',
      '/a\r\nb',
    ]) {
      const { url, cookie } = await world.begin(inA, { next });
      const outcome = await finish(idp.answer(url, newSamlPerson()), cookie);
      assert.ok(outcome.tested === undefined);
      assert.equal(outcome.next, '/', next);
    }
  });

  it('is refused with one error and without using anything up; the log has a word of ours (107, 109)', async () => {
    const person = newSamlPerson();
    const { url, cookie } = await world.begin(inA);
    const sessions = await world.sessions();
    const script = (xml: string) => xml.replace(`>${idp.entityId}<`, '>&lt;script&gt;alert(1)&lt;/script&gt;<');
    const cases: [AnswerOptions, string][] = [
      [{ signer: idp.stranger }, 'signature_invalid'],
      [{ alter: script }, 'issuer'],
      [{ alter: (xml) => xml.replace('status:Success', 'status:Responder') }, 'status'],
      [{ alter: (xml) => xml.replace(nameIdFormats.persistent, nameIdFormats.email) }, 'name_id_format'],
    ];
    for (const [options, reason] of cases) {
      await assert.rejects(finish(idp.answer(url, person, options), cookie), (error: Error) => {
        assert.deepEqual([(error as { code?: string }).code, error.message.includes('script')], [refused.code, false]);
        return true;
      });
      assert.equal((await world.reasons()).at(-1), reason);
    }
    await assert.rejects(finish({ ...idp.answer(url, person), samlResponse: '<script>' }, cookie), refused);
    assert.equal(await world.sessions(), sessions);
    assert.ok((await finish(idp.answer(url, person), cookie)).tested === undefined);
  });

  it('takes roles and addresses from where the connection says, whatever else is called like them (122)', async () => {
    const strange = { __proto__: ['x'], constructor: ['x'], role: ['owner'], isAdmin: ['true'], memberOf: ['it'] };
    const names = Object.entries(strange).concat([['__proto__', ['owner']]]);
    const person = newSamlPerson();
    const attributes = Object.defineProperties(
      { ...person.attributes },
      Object.fromEntries(names.map(([name, value]) => [name, { value, enumerable: true }])),
    );
    const { user } = (await enter({ ...person, attributes })).entered.session!;
    assert.deepEqual([user.role, user.email], ['member', person.email]);
    const twoAddresses = {
      ...newSamlPerson(),
      attributes: { email: ['a1@people.example', 'owner@elsewhere.example'] },
    };
    assert.equal(await reasonOf(twoAddresses), 'no_email');
    assert.equal(await reasonOf(newSamlPerson({ email: 'owner@elsewhere.example' })), 'domain_unproven');
    assert.equal(await reasonOf(newSamlPerson({ nameQualifier: 'https://another.example' })), 'name_id');
    const ownName = newSamlPerson({ nameQualifier: idp.entityId });
    assert.ok((await enter(ownName)).entered.session);
  });

  it('keeps two tenants with the same names and addresses apart', async () => {
    const { a, b } = world.two;
    const person = newSamlPerson();
    await createTwins(world.two, person.email);
    const before = await world.sessions(b);
    await enter(person);
    assert.equal(await world.sessions(b), before);
    const linked = (tenant: TestTenant) =>
      world.query('SELECT user_id FROM freehold.sign_on_identities WHERE subject = $1', [person.nameId], tenant);
    assert.equal((await linked(a)).length, 1);
    assert.equal((await linked(b)).length, 0);
    await enter(person, { connectionId: inB, tenant: b });
    assert.deepEqual(await linked(b), await linked(a));
  });

  it('takes addresses only if the owner says that they are verified', async () => {
    const connectionId = await world.connect({ saml: { metadataXml: idp.metadata() }, domain: 'strict.example' });
    const person = newSamlPerson({ email: 'somebody@strict.example' });
    assert.equal(await reasonOf(person, { connectionId }), 'email_unverified');
  });

  it('takes the NameID for the address where the connection has that format', async () => {
    const connectionId = await world.connect({
      saml: { metadataXml: idp.metadata(), nameIdFormat: 'email' },
      domain: 'mail.example',
      trustsEmails: true,
    });
    const person = { nameId: 'ann@mail.example', nameIdFormat: nameIdFormats.email, attributes: { given: ['Ann'] } };
    assert.equal((await enter(person, { connectionId })).entered.session!.user.email, 'ann@mail.example');
    assert.equal(
      await reasonOf({ ...person, nameIdFormat: nameIdFormats.persistent }, { connectionId }),
      'name_id_format',
    );
  });

  it('is set up with metadata of one provider, and changed with those of the same (119)', async () => {
    const { identity, a } = world.two;
    const owner = await world.owner();
    const make = (input: object) =>
      identity.createConnection(a.tenantId, owner, { kind: 'saml', name: 'Other', ...input }, shown);
    const wrong = (field: string) => (error: { code?: string; fields?: object }) => {
      assert.equal(error.code, 'FH_CONNECTION_REFUSED');
      assert.deepEqual(Object.keys(error.fields ?? {}), [field]);
      return true;
    };
    await assert.rejects(make({}), wrong('metadataXml'));
    await assert.rejects(make({ metadataXml: '<!DOCTYPE x><x/>' }), wrong('metadataXml'));
    await assert.rejects(
      make({ metadataXml: idp.metadata({ validUntil: '2020-01-01T00:00:00Z' }) }),
      wrong('metadataXml'),
    );
    await assert.rejects(make({ metadataUrl: 'http://idp.example.org/metadata' }), wrong('metadataUrl'));
    await assert.rejects(make({ metadataUrl: 'https://127.0.0.1/metadata' }), wrong('metadataUrl'));
    const change = (input: object) => identity.changeConnection(a.tenantId, owner, inA, input, shown);
    const before = await settingsOf(inA);
    await assert.rejects(
      change({ metadataXml: idp.metadata({ entityId: 'https://evil.example' }) }),
      wrong('metadataXml'),
    );
    assert.deepEqual(await settingsOf(inA), before);
    // The provider has a new key: answers under the old one are refused from now on.
    await change({ metadataXml: idp.metadata({ signer: idp.stranger }) });
    const now = await settingsOf(inA);
    assert.deepEqual({ ...now, certificates: before.certificates }, before);
    assert.equal(await reasonOf(newSamlPerson()), 'signature_invalid');
    assert.ok((await enter(newSamlPerson(), { signer: idp.stranger })).entered.session);
    await change({ metadataXml: idp.metadata() });
    // Metadata that have run out since.
    await world.query(
      `UPDATE freehold.sign_on_connections SET settings = settings || '{"validUntil": "2020-01-01T00:00:00Z"}' WHERE connection_id = $1`,
      [inA],
    );
    await assert.rejects(world.begin(inA), refused);
    assert.equal((await world.reasons()).at(-1), 'metadata_expired');
    await change({ metadataXml: idp.metadata() });
    assert.ok((await enter(newSamlPerson())).entered.session);
  });

  it('tells an owner who tests it what is wrong, and goes on only with a test that passed', async () => {
    const { identity, a } = world.two;
    const owner = await world.owner();
    const test = async (options: AnswerOptions) => {
      const { url, setCookies } = await identity.testConnection(a.tenantId, originOf(a), owner, inA, {});
      const outcome = await finish(idp.answer(url, newSamlPerson(), options), cookieHeaderOf(setCookies));
      assert.equal(outcome.tested, inA);
      const { connections } = await identity.getSignOnSettings(a.tenantId, owner);
      return connections.find(({ connectionId }) => connectionId === inA)!.lastTest!;
    };
    const sessions = await world.sessions();
    const failed = await test({ signer: idp.stranger });
    assert.deepEqual([failed.passed, failed.sentence?.startsWith('The signature was not made with')], [false, true]);
    const passed = await test({});
    assert.deepEqual([passed.passed, passed.claims], [true, ['email', 'displayName']]);
    assert.equal(await world.sessions(), sessions);
  });

  it('does nothing without its key, as in a copy, until an owner makes a new one', async () => {
    const { identity, a } = world.two;
    await world.query('UPDATE freehold.sign_on_connections SET sealed_secret = NULL WHERE connection_id = $1', [inA]);
    await assert.rejects(world.begin(inA), refused);
    assert.equal((await world.reasons()).at(-1), 'secret_missing');
    assert.doesNotMatch(await identity.getSamlMetadata(a.tenantId, originOf(a), inA), /Certificate/);
    await identity.changeConnection(a.tenantId, await world.owner(), inA, { renewsKey: true }, shown);
    assert.equal((await settingsOf(inA)).ownCertificates.length, 1);
    assert.ok((await enter(newSamlPerson())).entered.session);
  });

  /** Another process: it shares the database and the keys, and nothing else. */
  async function newNode() {
    const { databases, a, b } = world.two;
    const saml = createSamlEngine({ clock: systemClock, log: silentLog });
    const keysOf = (tenantId: string) => (tenantId === a.tenantId ? a : b);
    const identity = createIdentity({
      databases,
      cookieKeyOf: (tenantId) => keysOf(tenantId).cookieKey,
      factorsKeyOf: (tenantId) => keysOf(tenantId).factorsKey,
      signOn: { outgoing: world.provider.outgoing, resolveTxt: async () => [], saml },
      log: silentLog,
    });
    return {
      identity,
      stop: async () => {
        await identity.settle();
        await saml.stop();
      },
    };
  }
});
