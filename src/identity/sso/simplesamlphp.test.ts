import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type SimpleSamlPhp, startSimpleSamlPhp } from '../../../test/support/simplesamlphp.ts';
import { cookieHeaderOf } from '../two-tenants.fixture.ts';
import { SamlProvider } from './saml-provider.fixture.ts';
import { originOf, SignOnWorld } from './sign-on-world.fixture.ts';
import type { ConnectionId } from './types.ts';

/** The whole way with SimpleSAMLphp: its metadata, what it signs and encrypts, and signing out from either side. */

describe('SimpleSAMLphp', { timeout: 120_000 }, () => {
  let world: SignOnWorld;
  let php: SimpleSamlPhp;
  let connectionId: ConnectionId;
  const person = { uid: 'ann', email: 'ann@people.example' };

  before(async () => {
    world = await SignOnWorld.start();
    const { signer } = await SamlProvider.start();
    const key = signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    php = await startSimpleSamlPhp({ person, key, certificate: signer.certificate });
    connectionId = await world.connect({ saml: { metadataXml: php.metadata }, trustsEmails: true });
  });
  after(async () => {
    await php?.stop();
    await world?.stop();
  });

  const origin = () => originOf(world.two.a);
  const sloUrl = () => `${origin()}/-/sign-on/saml/log-out/${connectionId}`;
  const configure = async (options: Parameters<SimpleSamlPhp['configure']>[1]) => {
    const ours = await world.two.identity.getSamlMetadata(world.two.a.tenantId, origin(), connectionId);
    await php.configure(
      {
        entityId: `${origin()}/-/api/sign-on/saml/metadata`,
        acsUrl: `${origin()}/-/sign-on/saml`,
        sloUrl: sloUrl(),
        certificate: /<ds:X509Certificate>([^<]+)</.exec(ours)![1]!,
      },
      options,
    );
  };
  const answer = async (browser = php.openBrowser()) => {
    const { url, cookie } = await world.begin(connectionId);
    const landing = await browser.go(url);
    assert.equal(landing.url, `${origin()}/-/sign-on/saml`, landing.page);
    const { SAMLResponse: samlResponse, RelayState: relayState } = landing.fields;
    const xml = Buffer.from(samlResponse!, 'base64').toString();
    return { samlResponse: samlResponse!, relayState: relayState!, cookie, xml };
  };
  const finish = ({ cookie, samlResponse, relayState }: Awaited<ReturnType<typeof answer>>) =>
    world.two.identity.finishSaml(
      world.two.a.tenantId,
      origin(),
      { samlResponse, relayState },
      { cookieHeader: cookie, address: '192.0.2.1', userAgent: 'test' },
    );
  const enter = async (browser = php.openBrowser()) => {
    const outcome = await finish(await answer(browser));
    assert.ok(outcome.tested === undefined && outcome.entered.session);
    return outcome.entered;
  };
  const isIn = async ({ setCookies }: { setCookies: readonly string[] }) =>
    (await world.two.identity.authenticate(world.two.a.tenantId, cookieHeaderOf(setCookies))) !== undefined;
  const queryOf = (url: string) => url.slice(url.indexOf('?') + 1);

  it('its answers are taken as it signs and encrypts them, and refused where it signs nothing', async () => {
    const cases = [
      [true, false, false, true],
      [false, true, false, true],
      [true, true, false, true],
      [true, true, true, true],
      [true, false, true, true],
      // It encrypts with AES-CBC, which is opened only under a signature of the whole response.
      [false, true, true, false],
      [false, false, false, false],
    ] as const;
    const userIds = new Set<string>();
    for (const [signsResponse, signsAssertion, encryptsAssertion, isTaken] of cases) {
      const options = { signsResponse, signsAssertion, encryptsAssertion };
      await configure(options);
      const given = await answer();
      const what = JSON.stringify(options);
      assert.equal(given.xml.includes('EncryptedAssertion'), encryptsAssertion, what);
      if (!isTaken) {
        await assert.rejects(finish(given), { code: 'FH_SIGN_ON_REFUSED' }, what);
        continue;
      }
      const outcome = await finish(given);
      assert.ok(outcome.tested === undefined, what);
      userIds.add(outcome.entered.session!.user.userId);
    }
    assert.equal(userIds.size, 1);
    assert.deepEqual((await world.reasons()).slice(-2), ['encryption_algorithm', 'unsigned']);
  });

  it('signing out there ends the session here, and it takes our answer', async () => {
    await configure({ signsResponse: true, signsAssertion: true, encryptsAssertion: false });
    const browser = php.openBrowser();
    const [session, other] = [await enter(browser), await enter()];
    const { url, page } = await browser.go(php.signOutUrl);
    assert.ok(url.startsWith(`${sloUrl()}?SAMLRequest=`), page);
    const received = { binding: 'redirect', rawQuery: queryOf(url) } as const;
    const { identity, a } = world.two;
    const next = await identity.endFromProvider(a.tenantId, origin(), connectionId, received, {});
    assert.deepEqual([await isIn(session), await isIn(other)], [false, true]);
    assert.equal((await browser.go(next!)).url, 'https://idp.example/done');
  });

  it('signing out here signs out there', async () => {
    const browser = php.openBrowser();
    const { session, setCookies } = await enter(browser);
    const { identity, a } = world.two;
    const caller = { cookieHeader: cookieHeaderOf(setCookies), address: '192.0.2.1' };
    const left = await identity.leave(a.tenantId, origin(), { session: session!, address: '192.0.2.1' }, caller);
    const { url, page } = await browser.go(left.next);
    assert.ok(url.startsWith(`${sloUrl()}?SAMLResponse=`), page);
    const received = { binding: 'redirect', rawQuery: queryOf(url) } as const;
    const cookieHeader = cookieHeaderOf(left.setCookies);
    assert.deepEqual(await identity.finishLeaving(a.tenantId, origin(), connectionId, received, { cookieHeader }), {
      organisation: 'The works',
      succeeded: true,
    });
  });
});
