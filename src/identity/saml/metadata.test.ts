import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { inflateRawSync } from 'node:zlib';
import { silentLog } from '#src/kernel/index.ts';
import { createServiceProviderKey } from '#src/keys/index.ts';
import { createSamlEngine } from './engine.ts';
import {
  acsUrl,
  at,
  base64,
  changed,
  createSigner,
  createWorld,
  expectedResponse,
  genuineResponse,
  idpEntityId,
  keyInfoOf,
  minute,
  nowMs,
  protect,
  signXml,
  sloUrl,
  type World,
} from './idp.fixture.ts';
import { serviceProviderMetadata } from './outgoing.ts';
import { isSignedByOne } from './signature-algorithms.ts';
import type { MetadataExpectations, SamlEngine } from './types.ts';
import { findChild, metadataLimits, readXml } from './xml.ts';

let world: World;
let engine: SamlEngine;

before(async () => {
  world = await createWorld();
  engine = createSamlEngine({ clock: { now: () => nowMs, monotonicMs: () => nowMs }, log: silentLog });
});
after(() => engine.stop());

const redirectBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
const postBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST';
const metadata = () =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<!-- made by hand -->\n<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" ID="_m1" entityID="${idpEntityId}" validUntil="${at(1440 * minute)}" cacheDuration="PT1H">` +
  '<md:RoleDescriptor xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" protocolSupportEnumeration="http://docs.oasis-open.org/wsfed/federation/200706"/>' +
  '<md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">' +
  `<md:KeyDescriptor use="signing"><ds:KeyInfo>${keyInfoOf(world.signer.certificate)}</ds:KeyInfo></md:KeyDescriptor>` +
  `<md:KeyDescriptor use="encryption"><ds:KeyInfo>${keyInfoOf(world.receiver.certificate)}</ds:KeyInfo></md:KeyDescriptor>` +
  `<md:KeyDescriptor><ds:KeyInfo>${keyInfoOf(world.stranger.certificate)}</ds:KeyInfo></md:KeyDescriptor>` +
  `<md:SingleLogoutService Binding="${postBinding}" Location="https://idp.example.org/slo/post"/>` +
  `<md:SingleLogoutService Binding="${redirectBinding}" Location="https://idp.example.org/slo" ResponseLocation="https://idp.example.org/slo/done"/>` +
  `<md:SingleSignOnService Binding="${postBinding}" Location="https://idp.example.org/sso/post"/>` +
  `<md:SingleSignOnService Binding="${redirectBinding}" Location="https://idp.example.org/sso?x=1"/>` +
  '</md:IDPSSODescriptor></md:EntityDescriptor>';

async function reasonOf(xml: string, expected?: MetadataExpectations) {
  const verdict = await engine.parseIdpMetadata(xml, expected);
  return verdict.ok || verdict.reason;
}

test('metadata say where to go and whom to trust', async () => {
  const verdict = await engine.parseIdpMetadata(`\uFEFF${metadata()}`);
  if (!verdict.ok) assert.fail(verdict.reason);
  const { certificates, ...rest } = verdict.metadata;
  assert.deepEqual(rest, {
    entityId: idpEntityId,
    ssoUrl: 'https://idp.example.org/sso?x=1',
    slo: { url: 'https://idp.example.org/slo', responseUrl: 'https://idp.example.org/slo/done', binding: 'redirect' },
    wantsSignedRequests: true,
    validUntil: new Date(nowMs + 1440 * minute),
  });
  assert.deepEqual(
    certificates.map((pem) => new X509Certificate(pem).fingerprint256),
    [world.signer, world.stranger].map(({ certificate }) => new X509Certificate(certificate).fingerprint256),
  );
  const samlResponse = base64(protect(genuineResponse(), 'AR', world));
  assert.equal(
    (await engine.verifyResponse({ samlResponse, expected: { ...expectedResponse(world), certificates } })).ok,
    true,
  );
});

test('metadata that are refused, each in plain words', async () => {
  const weak = await createSigner(1024);
  const cases: [string, (xml: string) => string, string][] = [
    ['a document type', (xml) => xml.replace('<!-- made by hand -->', '<!DOCTYPE x>'), 'doctype'],
    ['no XML', () => 'hello', 'malformed'],
    ['nothing', () => '', 'malformed'],
    ['a web page', () => '<html xmlns="http://www.w3.org/1999/xhtml"/>', 'metadata'],
    ['1 MB and more', (xml) => xml + ' '.repeat(1024 * 1024), 'too_large'],
    ['a service provider', (xml) => xml.replaceAll('IDPSSODescriptor', 'SPSSODescriptor'), 'metadata'],
    [
      'several entities',
      (xml) =>
        `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">${xml.replace(/^[\s\S]*?(?=<md:Entity)/, '')}</md:EntitiesDescriptor>`,
      'metadata',
    ],
    ['two roles', (xml) => xml.replace(/<md:IDPSSO.*<\/md:IDPSSODescriptor>/, '$&$&'), 'metadata'],
    [
      'SAML 1.1',
      (xml) =>
        xml.replace(
          'protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"',
          'protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol"',
        ),
      'metadata',
    ],
    ['no entity ID', (xml) => xml.replace(/entityID="[^"]*"/, ''), 'metadata_entity_id'],
    ['an entity ID with a blank', (xml) => xml.replace(/entityID="[^"]*"/, 'entityID="a b"'), 'metadata_entity_id'],
    ['119: expired', (xml) => xml.replace(/validUntil="[^"]*"/, `validUntil="${at(0)}"`), 'metadata_expired'],
    [
      'no redirect binding',
      (xml) => xml.replace(/<md:SingleSignOnService Binding="[^"]*Redirect" [^>]*>/, ''),
      'metadata_sso',
    ],
    ['http', (xml) => xml.replace('https://idp.example.org/sso?', 'http://idp.example.org/sso?'), 'metadata_url'],
    ['javascript', (xml) => xml.replace('https://idp.example.org/slo"', 'javascript:alert(1)"'), 'metadata_url'],
    [
      'a password in the address',
      (xml) => xml.replace('https://idp.example.org/sso?', 'https://u:p@idp.example.org/sso?'),
      'metadata_url',
    ],
    [
      'an address with a quote',
      (xml) => xml.replace('https://idp.example.org/sso?', 'https://idp.example.org/&quot;sso?'),
      'metadata_url',
    ],
    [
      'no signing certificate',
      (xml) => xml.replace(/<md:KeyDescriptor( use="signing")?>.*?<\/md:KeyDescriptor>/g, ''),
      'metadata_certificate',
    ],
    [
      'a certificate that is none',
      (xml) => xml.replace(/<ds:X509Certificate>[^<]*/, '<ds:X509Certificate>AAAA'),
      'metadata_certificate',
    ],
    [
      'a weak key',
      (xml) => xml.replace(keyInfoOf(world.signer.certificate), keyInfoOf(weak.certificate)),
      'metadata_certificate',
    ],
    [
      'a comment in a certificate',
      (xml) => xml.replace('<ds:X509Certificate>', '<ds:X509Certificate><!-- x -->'),
      'forbidden_markup',
    ],
  ];
  for (const [name, alter, reason] of cases)
    assert.equal(await reasonOf(changed(metadata(), alter(metadata()))), reason, name);
});

test('119: metadata read again must be of the same entity', async () => {
  assert.equal(await reasonOf(metadata(), { entityId: idpEntityId }), true);
  assert.equal(await reasonOf(metadata(), { entityId: 'https://other.example' }), 'metadata_entity_id_changed');
});

test('44: where metadata must be signed, stripping the signature does not help', async () => {
  const expected = { certificates: [world.signer.certificate] };
  const signed = signXml(metadata(), { signer: world.signer, element: 'EntityDescriptor' });
  assert.equal(await reasonOf(signed, expected), true);
  assert.equal(await reasonOf(metadata(), expected), 'unsigned');
  assert.equal(await reasonOf(signed.replace('/sso?x=1', '/evil?x=1'), expected), 'signature_invalid');
  const other = signXml(metadata(), { signer: world.stranger, element: 'EntityDescriptor' });
  assert.equal(await reasonOf(other, expected), 'signature_invalid');
  assert.equal(await reasonOf(signed.replace(/<ds:Signature [\s\S]*?<\/ds:Signature>/, ''), expected), 'unsigned');
});

test('our own metadata and requests say what they should, whatever the names hold', async () => {
  const key = await createServiceProviderKey(nowMs);
  const odd = 'https://acme.example/?a=1&b="<x>"';
  const xml = serviceProviderMetadata({
    spEntityId: odd,
    acsUrl,
    sloUrl,
    signingCertificates: [key.certificate],
    encryptionCertificates: [key.certificate],
  });
  const entity = readXml(xml, metadataLimits);
  assert.equal(entity.attributes.get('entityID'), odd);
  const role = findChild(entity, 'md:SPSSODescriptor')!;
  assert.equal(findChild(role, 'md:AssertionConsumerService')!.attributes.get('Location'), acsUrl);

  const { id, url } = engine.createAuthnRequest({
    ssoUrl: 'https://idp.example.org/sso?x=1',
    acsUrl,
    spEntityId: odd,
    relayState: 'a b&c',
    forceAuthn: true,
    authnContexts: ['urn:x:mfa'],
    signWith: key,
  });
  assert.match(id, /^_[0-9a-f]{40}$/);
  assert.ok(url.startsWith('https://idp.example.org/sso?x=1&SAMLRequest='));
  const query = new URL(url).searchParams;
  assert.equal(query.get('RelayState'), 'a b&c');
  const request = readXml(inflateRawSync(Buffer.from(query.get('SAMLRequest')!, 'base64')).toString(), metadataLimits);
  assert.equal(request.attributes.get('ID'), id);
  assert.equal(request.attributes.get('AssertionConsumerServiceURL'), acsUrl);
  assert.equal(request.attributes.get('ForceAuthn'), 'true');
  assert.equal(findChild(request, 'saml:Issuer')!.text, odd);
  const signed = url.slice(url.indexOf('SAMLRequest='), url.indexOf('&Signature='));
  const keys = [new X509Certificate(key.certificate).publicKey];
  const signature = Buffer.from(query.get('Signature')!, 'base64');
  assert.equal(isSignedByOne(keys, query.get('SigAlg')!, Buffer.from(signed), signature), true);
});
