import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { createSamlEngine } from './engine.ts';
import {
  acsUrl,
  base64,
  createSigner,
  expectedResponse,
  idpEntityId,
  nowMs,
  requestId,
  spEntityId,
  victim,
  type World,
} from './idp.fixture.ts';
import type { SamlEngine } from './types.ts';

/** Responses of an identity provider that others wrote: `samlp` of Auth0, which signs with another version of xml-crypto and its own templates. */

/** It has no types. */
const samlp = createRequire(import.meta.url)('samlp') as {
  getSamlResponse(
    options: object,
    user: object,
    callback: (error: Error | null, response?: string | Buffer) => void,
  ): void;
};

let world: World;
let engine: SamlEngine;

before(async () => {
  // It writes the time of this machine.
  const sinceThen = systemClock.now() - nowMs;
  const dates = { from: sinceThen - 86_400_000, until: sinceThen + 86_400_000 };
  const [signer, stranger, receiver] = await Promise.all([
    createSigner(2048, dates),
    createSigner(2048, dates),
    createSigner(2048, dates),
  ]);
  world = { signer, stranger, receiver };
  engine = createSamlEngine({ clock: systemClock, log: silentLog });
});
after(() => engine.stop());

const pem = (signer: World['signer']) => signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

function issue(options: object): Promise<string> {
  const usual = {
    issuer: idpEntityId,
    audience: spEntityId,
    recipient: acsUrl,
    destination: acsUrl,
    inResponseTo: requestId,
    cert: world.signer.certificate,
    key: pem(world.signer),
    signatureAlgorithm: 'rsa-sha256',
    digestAlgorithm: 'sha256',
    sessionIndex: '_s1',
  };
  const user = { id: victim, emails: [{ value: victim }], displayName: 'Olga Owner', name: { givenName: 'Olga' } };
  return new Promise((resolve, reject) => {
    samlp.getSamlResponse({ ...usual, ...options }, user, (error, response) =>
      error ? reject(error) : resolve(String(response)),
    );
  });
}

test('responses of samlp are accepted in its ways to sign and encrypt', async () => {
  const encryption = {
    encryptionCert: world.receiver.certificate,
    encryptionPublicKey: createPublicKey(world.receiver.privateKey).export({ type: 'spki', format: 'pem' }).toString(),
  };
  const gcm = 'http://www.w3.org/2009/xmlenc11#aes256-gcm';
  const cbc = 'http://www.w3.org/2001/04/xmlenc#aes256-cbc';
  const ways: [string, object][] = [
    ['assertion', {}],
    ['response', { signAssertion: false, signResponse: true }],
    ['both', { signResponse: true }],
    ['prefixed', { signResponse: true, signatureNamespacePrefix: 'ds' }],
    ['typed attributes', { typedAttributes: true, includeAttributeNameFormat: true }],
    ['encrypted', { ...encryption, encryptionAlgorithm: gcm }],
    [
      'encrypted with CBC, response signed',
      {
        ...encryption,
        signResponse: true,
        encryptionAlgorithm: cbc,
        disallowEncryptionWithInsecureAlgorithm: false,
        warnOnInsecureEncryptionAlgorithm: false,
      },
    ],
  ];
  for (const [name, options] of ways) {
    const samlResponse = base64(await issue(options));
    const verdict = await engine.verifyResponse({ samlResponse, expected: expectedResponse(world) });
    assert.equal(verdict.ok || verdict.reason, true, name);
    assert.equal(verdict.ok && verdict.assertion.nameId, victim, name);
  }
});

test('and refused where they are signed with SHA-1 or by somebody else', async () => {
  const reasonOf = async (options: object) => {
    const samlResponse = base64(await issue(options));
    const verdict = await engine.verifyResponse({ samlResponse, expected: expectedResponse(world) });
    return verdict.ok || verdict.reason;
  };
  assert.equal(await reasonOf({ signatureAlgorithm: 'rsa-sha1' }), 'signature_algorithm');
  assert.equal(await reasonOf({ cert: world.stranger.certificate, key: pem(world.stranger) }), 'signature_invalid');
  assert.equal(await reasonOf({ audience: 'https://other.example' }), 'audience');
});
