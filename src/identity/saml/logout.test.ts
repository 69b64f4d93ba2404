import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { silentLog } from '#src/kernel/index.ts';
import { signQuery } from '#src/keys/index.ts';
import { createSamlEngine } from './engine.ts';
import {
  algorithms,
  at,
  attacker,
  base64,
  createWorld,
  encrypted,
  idpEntityId,
  minute,
  nowMs,
  requestId,
  signXml,
  sloUrl,
  spEntityId,
  type World,
} from './idp.fixture.ts';
import type { ExpectedLogout, LogoutMessage, SamlEngine, SigningKey } from './types.ts';

let world: World;
let engine: SamlEngine;
let idpKey: SigningKey;

before(async () => {
  world = await createWorld();
  idpKey = { privateKey: world.signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  engine = createSamlEngine({ clock: { now: () => nowMs, monotonicMs: () => nowMs }, log: silentLog });
});
after(() => engine.stop());

const expected = (): ExpectedLogout => ({
  spEntityId,
  idpEntityId,
  sloUrl,
  certificates: [world.signer.certificate],
});

const persistent = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';
const request = () =>
  `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_l0001" Version="2.0" IssueInstant="${at(-1000)}" Destination="${sloUrl}" NotOnOrAfter="${at(5 * minute)}"><saml:Issuer>${idpEntityId}</saml:Issuer><saml:NameID Format="${persistent}">${attacker}</saml:NameID><samlp:SessionIndex>_s0001</samlp:SessionIndex></samlp:LogoutRequest>`;
const response = () =>
  `<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_l0002" Version="2.0" IssueInstant="${at(-1000)}" Destination="${sloUrl}" InResponseTo="${requestId}"><saml:Issuer>${idpEntityId}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>`;

const post = (xml: string): LogoutMessage => ({ binding: 'post', message: base64(xml), relayState: 'r1' });
const signedPost = (xml: string, element: 'LogoutRequest' | 'LogoutResponse' = 'LogoutRequest') =>
  post(signXml(xml, { signer: world.signer, element }));

/** The query as our own engine writes it, with the keys of the identity provider. */
const signedQuery = () => {
  const { url } = engine.createLogoutRequest({
    sloUrl,
    spEntityId: idpEntityId,
    nameId: attacker,
    nameIdFormat: persistent,
    sessionIndexes: ['_s0001', '_s0002'],
    relayState: 'r 1&',
    signWith: idpKey,
  });
  return url.slice(url.indexOf('?') + 1);
};
const redirect = (rawQuery: string): LogoutMessage => ({ binding: 'redirect', rawQuery });

async function requestReason(received: LogoutMessage, trust = expected()) {
  const verdict = await engine.verifyLogoutRequest({ received, expected: trust });
  return verdict.ok || verdict.reason;
}

test('a signed request signs out, by POST and by redirect', async () => {
  const verdict = await engine.verifyLogoutRequest({ received: signedPost(request()), expected: expected() });
  assert.deepEqual(verdict.ok && verdict.request, {
    id: '_l0001',
    issuer: idpEntityId,
    nameId: attacker,
    nameIdFormat: persistent,
    nameQualifier: undefined,
    spNameQualifier: undefined,
    sessionIndexes: ['_s0001'],
    relayState: 'r1',
    notOnOrAfter: new Date(nowMs - 1000 + 20 * minute),
  });
  const other = await engine.verifyLogoutRequest({ received: redirect(signedQuery()), expected: expected() });
  assert.deepEqual(other.ok && other.request.sessionIndexes, ['_s0001', '_s0002']);
  assert.equal(other.ok && other.request.relayState, 'r 1&');
});

test('110: without a good signature nobody is signed out', async () => {
  const query = signedQuery();
  const cases: [string, LogoutMessage, string][] = [
    ['unsigned POST', post(request()), 'unsigned'],
    ['unsigned redirect', redirect(query.replace(/&SigAlg=.*/, '')), 'unsigned'],
    ['signature stripped, algorithm kept', redirect(query.replace(/&Signature=.*/, '')), 'unsigned'],
    ['another RelayState', redirect(query.replace(/RelayState=[^&]*/, 'RelayState=x')), 'signature_invalid'],
    ['RelayState taken away', redirect(query.replace(/RelayState=[^&]*&/, '')), 'signature_invalid'],
    ['a parameter twice', redirect(`${query}&${query}`), 'structure'],
    ['a second message', redirect(`${query}&SAMLResponse=AAAA`), 'not_saml'],
    [
      'SHA-1',
      redirect(query.replace(/SigAlg=[^&]*/, `SigAlg=${encodeURIComponent(algorithms.rsaSha1)}`)),
      'signature_algorithm',
    ],
    [
      'HMAC',
      redirect(query.replace(/SigAlg=[^&]*/, `SigAlg=${encodeURIComponent(algorithms.hmacSha256)}`)),
      'signature_algorithm',
    ],
    [
      'a stranger’s signature',
      post(signXml(request(), { signer: world.stranger, element: 'LogoutRequest' })),
      'signature_invalid',
    ],
    ['percent signs that are none', redirect(query.replace(/SAMLRequest=/, 'SAMLRequest=%zz')), 'signature_invalid'],
  ];
  for (const [name, received, reason] of cases) assert.equal(await requestReason(received), reason, name);
  assert.equal(await requestReason(redirect(query), { ...expected(), certificates: [] }), 'no_certificate');
  assert.equal(
    await requestReason(redirect(query), { ...expected(), certificates: [world.stranger.certificate] }),
    'signature_invalid',
  );
});

test('what a signed request must say', async () => {
  const cases: [string, (xml: string) => string, string][] = [
    ['another destination', (xml) => xml.replace(sloUrl, 'https://other.example/slo'), 'destination'],
    ['another issuer', (xml) => xml.replace(`>${idpEntityId}<`, '>https://other.example<'), 'issuer'],
    ['an old one', (xml) => xml.replace(/IssueInstant="[^"]*"/, `IssueInstant="${at(-60 * minute)}"`), 'expired'],
    ['one that is over', (xml) => xml.replace(/NotOnOrAfter="[^"]*"/, `NotOnOrAfter="${at(-2 * minute)}"`), 'expired'],
    ['nobody', (xml) => xml.replace(/<saml:NameID .*<\/saml:NameID>/, ''), 'name_id'],
    ['extensions', (xml) => xml.replace('<saml:NameID', '<samlp:Extensions/><saml:NameID'), 'structure'],
    ['an encrypted name', (xml) => xml.replace(/<saml:NameID .*<\/saml:NameID>/, '<saml:EncryptedID/>'), 'structure'],
    ['version 1.1', (xml) => xml.replace('Version="2.0"', 'Version="1.1"'), 'version'],
  ];
  for (const [name, alter, reason] of cases)
    assert.equal(await requestReason(signedPost(alter(request()))), reason, name);
  assert.equal(await requestReason(signedPost(response(), 'LogoutResponse')), 'not_saml', 'an answer as a request');
});

test('a name that is encrypted to us, by a form and by a redirect, and nothing else', async () => {
  const ours = world.receiver;
  const keys = { ...expected(), decryptionKeys: [ours.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()] };
  const name = `<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Format="${persistent}">${attacker}</saml:NameID>`;
  const inside = (content: string, options: Partial<Parameters<typeof encrypted>[1]> = {}) =>
    encrypted(content, { certificate: ours.certificate, ...options }).replaceAll('EncryptedAssertion', 'EncryptedID');
  const withName = (content: string) => request().replace(/<saml:NameID .*<\/saml:NameID>/, content);
  for (const cipher of ['aes-256-gcm', 'aes-128-gcm', 'aes-128-cbc', 'aes-256-cbc'] as const)
    for (const wrapping of ['sha1', 'sha256'] as const) {
      const xml = withName(inside(name, { cipher, wrapping }));
      const verdict = await engine.verifyLogoutRequest({ received: signedPost(xml), expected: keys });
      assert.ok(verdict.ok, `${cipher} ${wrapping}: ${JSON.stringify(verdict)}`);
      assert.deepEqual(
        [verdict.request.nameId, verdict.request.nameIdFormat, verdict.request.sessionIndexes],
        [attacker, persistent, ['_s0001']],
      );
    }
  const query = `SAMLRequest=${encodeURIComponent(deflateRawSync(withName(inside(name))).toString('base64'))}&SigAlg=${encodeURIComponent(algorithms.rsaSha256)}`;
  const signature = encodeURIComponent(signQuery(idpKey.privateKey, query));
  const redirected = await engine.verifyLogoutRequest({
    received: redirect(`${query}&Signature=${signature}`),
    expected: keys,
  });
  assert.equal(redirected.ok && redirected.request.nameId, attacker);

  const reasonOf = async (content: string, trust: ExpectedLogout = keys) => {
    const verdict = await engine.verifyLogoutRequest({ received: signedPost(withName(content)), expected: trust });
    return verdict.ok ? 'taken' : verdict.reason;
  };
  const stranger = { certificate: world.stranger.certificate };
  const cases: readonly (readonly [string, string, string, ExpectedLogout?])[] = [
    ['beside one in the clear', inside(name) + name, 'name_id'],
    ['two', inside(name).repeat(2), 'structure'],
    ['to another key', inside(name, stranger), 'decryption'],
    ['to another key, CBC', inside(name, { ...stranger, cipher: 'aes-128-cbc' }), 'decryption'],
    ['no key of ours', inside(name), 'encryption_key', expected()],
    ['RSA 1.5', inside(name, { wrapping: 'pkcs1' }), 'encryption_algorithm'],
    ['two keys', inside(name, { keyCount: 2 }), 'structure'],
    ['an issuer inside', inside(name.replaceAll('NameID', 'Issuer')), 'decryption'],
    ['no XML inside', inside('nobody'), 'decryption'],
    ['a doctype inside', inside(`<!DOCTYPE x>${name}`), 'decryption'],
    ['an encrypted one inside', inside(inside(name)), 'decryption'],
    ['elements in the name', inside(name.replace(attacker, '<saml:x/>')), 'name_id'],
    ['an assertion', encrypted(name, { certificate: ours.certificate }), 'structure'],
    ['nothing', '<saml:EncryptedID/>', 'structure'],
  ];
  for (const [title, content, reason, trust] of cases) assert.equal(await reasonOf(content, trust), reason, title);
  // Nobody without the provider's key has anything opened.
  const unsigned = await engine.verifyLogoutRequest({ received: post(withName(inside(name))), expected: keys });
  assert.equal(!unsigned.ok && unsigned.reason, 'unsigned');
});

test('63: a message that unpacks to more than the limit is stopped there (CVE-2025-25293)', async () => {
  const bomb = encodeURIComponent(deflateRawSync(Buffer.alloc(20_000_000, ' ')).toString('base64'));
  const query = `SAMLRequest=${bomb}&SigAlg=${encodeURIComponent(algorithms.rsaSha256)}`;
  const signature = encodeURIComponent(signQuery(idpKey.privateKey, query));
  assert.equal(await requestReason(redirect(`${query}&Signature=${signature}`)), 'too_large');
  assert.equal(await requestReason(redirect(`${query}&Signature=AAAA`)), 'signature_invalid', 'not even unpacked');
  assert.equal(await requestReason(redirect(`SAMLRequest=${'A'.repeat(70_000)}`)), 'too_large');
});

test('an answer to our request, and none to another', async () => {
  const verify = (received: LogoutMessage, requestIds = [requestId]) =>
    engine.verifyLogoutResponse({ received, expected: { ...expected(), requestIds } });
  const verdict = await verify(signedPost(response(), 'LogoutResponse'));
  assert.deepEqual(verdict.ok && [verdict.response.isSuccess, verdict.response.inResponseTo], [true, requestId]);
  const failed = response().replace('status:Success', 'status:Responder');
  const failure = await verify(signedPost(failed, 'LogoutResponse'));
  assert.equal(failure.ok && failure.response.isSuccess, false);
  const unknown = await verify(signedPost(response(), 'LogoutResponse'), []);
  assert.equal(!unknown.ok && unknown.reason, 'in_response_to');
  const { url } = engine.createLogoutResponse({
    sloUrl,
    spEntityId: idpEntityId,
    inResponseTo: requestId,
    isSuccess: true,
    signWith: idpKey,
  });
  const redirected = await verify(redirect(url.slice(url.indexOf('?') + 1)));
  assert.equal(redirected.ok && redirected.response.isSuccess, true);
  const unsigned = await verify(post(response()));
  assert.equal(!unsigned.ok && unsigned.reason, 'unsigned');
});
