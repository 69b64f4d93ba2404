import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { silentLog } from '#src/kernel/index.ts';
import { createSamlEngine } from './engine.ts';
import {
  algorithms,
  at,
  attacker,
  base64,
  createSigner,
  createWorld,
  type Encryption,
  expectedResponse,
  genuineResponse,
  idpEntityId,
  minute,
  modes,
  nowMs,
  protect,
  requestId,
  type Signer,
  type World,
} from './idp.fixture.ts';
import type { Assertion, ExpectedResponse, SamlEngine } from './types.ts';

let world: World;
let engine: SamlEngine;
let now = nowMs;

before(async () => {
  world = await createWorld();
  engine = createSamlEngine({ clock: { now: () => now, monotonicMs: () => now }, log: silentLog });
});
after(() => engine.stop());

async function accepted(xml: string, expected: ExpectedResponse = expectedResponse(world)): Promise<Assertion> {
  const verdict = await engine.verifyResponse({ samlResponse: base64(xml), expected });
  return verdict.ok ? verdict.assertion : assert.fail(`refused: ${verdict.reason}`);
}

test('what is read of a genuine response', async () => {
  const assertion = await accepted(protect(genuineResponse(), 'AR', world));
  assert.deepEqual(assertion, {
    id: '_a0001',
    issuer: idpEntityId,
    nameId: attacker,
    nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    nameQualifier: undefined,
    spNameQualifier: undefined,
    sessionIndex: '_s0001',
    authnContext: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
    authnInstant: new Date(nowMs - 10 * minute),
    sessionNotOnOrAfter: new Date(nowMs + 480 * minute),
    attributes: new Map([['groups', ['staff', 'desk']]]),
    inResponseTo: requestId,
    notOnOrAfter: new Date(nowMs + 5 * minute),
  });
});

test('genuine responses in every mode, with every key and algorithm, are accepted', async (context) => {
  const keys = [2048, 3072, 4096, 'P-256', 'P-384', 'P-521'] as const;
  const signers = new Map<string, Signer>();
  for (const key of keys) signers.set(String(key), await createSigner(key));
  const rsa = ['rsaSha256', 'rsaSha384', 'rsaSha512', 'pssSha256', 'pssSha512'] as const;
  const ec = ['ecdsaSha256', 'ecdsaSha384', 'ecdsaSha512'] as const;
  let count = 0;
  for (const key of keys)
    for (const algorithm of typeof key === 'number' ? rsa : ec)
      for (const mode of modes) {
        const signer = signers.get(String(key))!;
        const digest = algorithm.endsWith('512') ? algorithms.sha512 : algorithms.sha256;
        const signing = { signer, signature: algorithms[algorithm], digest };
        const xml = protect(genuineResponse(), mode, world, { signing });
        const expected = { ...expectedResponse(world), certificates: [world.stranger.certificate, signer.certificate] };
        assert.equal((await accepted(xml, expected)).nameId, attacker, `${key} ${algorithm} ${mode}`);
        count += 1;
      }
  context.diagnostic(`${count} of ${count} genuine responses accepted`);
});

test('every way to encrypt that is allowed is opened', async () => {
  const { certificate } = world.receiver;
  const gcm: Partial<Encryption>[] = (['aes-128-gcm', 'aes-256-gcm'] as const).flatMap((cipher) =>
    (['sha1', 'sha256', 'sha512'] as const).map((wrapping) => ({ certificate, cipher, wrapping })),
  );
  for (const encryption of gcm)
    for (const mode of ['EA', 'ER', 'EAR'] as const)
      await accepted(protect(genuineResponse(), mode, world, { encryption }));
  for (const cipher of ['aes-128-cbc', 'aes-256-cbc'] as const)
    for (const mode of ['ER', 'EAR'] as const)
      await accepted(protect(genuineResponse(), mode, world, { encryption: { certificate, cipher } }));
});

test('an older key of ours still opens what is encrypted to it', async () => {
  const newer = (await createSigner()).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const expected = expectedResponse(world);
  const decryptionKeys = [newer, ...expected.decryptionKeys!];
  await accepted(protect(genuineResponse(), 'EA', world), { ...expected, decryptionKeys });
});

test('the shapes of well-known identity providers are accepted', async () => {
  const shapes: Record<string, (xml: string) => string> = {
    'default namespaces (Entra ID, AD FS)': (xml) =>
      xml
        .replace('<saml:Assertion xmlns:saml=', '<saml:Assertion xmlns=')
        .replace(/(<\/?)saml:(?=[\s\S]*<\/saml:Assertion>)/g, (found, start, position) =>
          position > xml.indexOf('<saml:Assertion') ? start : found,
        )
        .replace('</saml:Assertion>', '</Assertion>')
        .replace('<saml:Assertion', '<Assertion'),
    'attributes before the authentication (Entra ID)': (xml) =>
      xml.replace(
        /(<saml:AuthnStatement .*<\/saml:AuthnStatement>)(<saml:AttributeStatement>.*<\/saml:AttributeStatement>)/,
        '$2$1',
      ),
    'no attributes': (xml) => xml.replace(/<saml:AttributeStatement>.*<\/saml:AttributeStatement>/, ''),
    'an XML declaration and a line break': (xml) => `<?xml version="1.0" encoding="UTF-8"?>\n${xml}`,
    'indented (SimpleSAMLphp in debug)': (xml) => xml.replace(/></g, '>\n  <'),
    'the address of the browser (Shibboleth)': (xml) =>
      xml
        .replace('Recipient=', 'Address="192.0.2.7" Recipient=')
        .replace('<saml:AuthnContext>', '<saml:SubjectLocality Address="192.0.2.7"/><saml:AuthnContext>'),
    'an entity format on issuers (Shibboleth, Okta)': (xml) =>
      xml.replace(/<saml:Issuer>/g, '<saml:Issuer Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity">'),
    'qualifiers of the name (Shibboleth, SimpleSAMLphp)': (xml) =>
      xml.replace(
        '<saml:NameID ',
        '<saml:NameID NameQualifier="https://idp.example.org/metadata" SPNameQualifier="https://acme.localhost:8443/-/sso/saml/metadata" ',
      ),
    'no SessionNotOnOrAfter': (xml) => xml.replace(/ SessionNotOnOrAfter="[^"]*"/, ''),
    'no milliseconds': (xml) => xml.replace(/\.000Z"/g, 'Z"'),
    'seven digits of a second (.NET)': (xml) => xml.replace(/\.000Z"/g, '.1234567Z"'),
    'several audiences in one restriction': (xml) =>
      xml.replace('<saml:Audience>', '<saml:Audience>https://other.example</saml:Audience><saml:Audience>'),
    'an attribute of a foreign namespace (AD FS, X.500)': (xml) =>
      xml.replace(
        '<saml:Attribute ',
        '<saml:Attribute xmlns:a="http://schemas.xmlsoap.org/ws/2009/09/identity/claims" a:OriginalIssuer="urn:x" ',
      ),
    'a NameID for a value (eduPersonTargetedID)': (xml) =>
      xml.replace(
        '>desk<',
        '><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">desk</saml:NameID><',
      ),
    'one attribute for each role, all of one name (Keycloak)': (xml) =>
      xml.replace(
        '</saml:AttributeStatement>',
        '<saml:Attribute Name="groups"><saml:AttributeValue>third</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>',
      ),
    'an escaped ampersand': (xml) => xml.replace('>desk<', '>desk &amp; &#x43;o<'),
  };
  for (const [name, shape] of Object.entries(shapes)) {
    const xml = shape(genuineResponse());
    assert.notEqual(xml, genuineResponse(), name);
    for (const mode of name.startsWith('default') ? (['A', 'R', 'AR'] as const) : modes) {
      const verdict = await engine.verifyResponse({
        samlResponse: base64(protect(xml, mode, world)),
        expected: expectedResponse(world),
      });
      assert.equal(verdict.ok || verdict.reason, true, `${name}, ${mode}`);
    }
  }
});

test('signatures as other engines write them are accepted', async () => {
  const wrapped = (xml: string) => xml.replace(/(<ds:SignatureValue>)([^<]{76})/g, '$1$2&#13;\n');
  await accepted(wrapped(protect(genuineResponse(), 'A', world)));
  await accepted(wrapped(protect(genuineResponse(), 'R', world)));
  for (const mode of ['A', 'R', 'EA', 'ER'] as const)
    await accepted(protect(genuineResponse(), mode, world, { signing: { inclusivePrefixes: ['xs', 'xsi'] } }));
  const mime = base64(protect(genuineResponse(), 'A', world)).replace(/.{76}/g, '$&\r\n');
  assert.equal((await engine.verifyResponse({ samlResponse: mime, expected: expectedResponse(world) })).ok, true);
});

test('122: attributes are a map, whatever they are called', async () => {
  const xml = genuineResponse().replace('Name="groups"', 'Name="__proto__"');
  const { attributes } = await accepted(protect(xml, 'A', world));
  assert.deepEqual([...attributes], [['__proto__', ['staff', 'desk']]]);
  assert.equal(({} as { groups?: unknown }).groups, undefined);
});

test('unsolicited responses are taken where the connection says so', async () => {
  const xml = protect(genuineResponse().replaceAll(` InResponseTo="${requestId}"`, ''), 'A', world);
  const expected = { ...expectedResponse(world), requestIds: [] };
  assert.equal((await accepted(xml, { ...expected, allowUnsolicited: true })).inResponseTo, undefined);
  const verdict = await engine.verifyResponse({ samlResponse: base64(xml), expected });
  assert.equal(!verdict.ok && verdict.reason, 'unsolicited');
});

test('to the millisecond: the edges of the clock skew', async () => {
  const skew = 30_000;
  const expected = { ...expectedResponse(world), clockSkewMs: skew };
  const xml = protect(genuineResponse(), 'AR', world);
  const edges: [string, atMs: number, outcome: string | true][] = [
    ['the last millisecond before the end', 5 * minute + skew - 1, true],
    ['the end', 5 * minute + skew, 'expired'],
    ['the first millisecond', -2_000 - skew + 1_000, true],
    ['one before the first (written in the future)', -1_000 - skew - 1, 'not_yet_valid'],
  ];
  try {
    for (const [name, atMs, outcome] of edges) {
      now = nowMs + atMs;
      const verdict = await engine.verifyResponse({ samlResponse: base64(xml), expected });
      assert.equal(verdict.ok || verdict.reason, outcome, name);
    }
    now = nowMs;
    const late = genuineResponse().replace(`NotBefore="${at(-5 * minute)}"`, `NotBefore="${at(skew)}"`);
    await accepted(protect(late, 'A', world), expected);
    const later = genuineResponse().replace(`NotBefore="${at(-5 * minute)}"`, `NotBefore="${at(skew + 1)}"`);
    const verdict = await engine.verifyResponse({ samlResponse: base64(protect(later, 'A', world)), expected });
    assert.equal(!verdict.ok && verdict.reason, 'not_yet_valid');
  } finally {
    now = nowMs;
  }
});
