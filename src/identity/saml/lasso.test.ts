import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { createServiceProviderKey, type ServiceProviderKey } from '#src/keys/index.ts';
import { createSamlEngine } from './engine.ts';
import {
  acsUrl,
  createSigner,
  idpEntityId,
  keyInfoOf,
  nowMs,
  type Signer,
  sloUrl,
  spEntityId,
  victim,
} from './idp.fixture.ts';
import { serviceProviderMetadata } from './outgoing.ts';
import type { OutgoingMessage, SamlEngine } from './types.ts';

/**
 * A whole sign-in with Lasso (Debian's python3-lasso; the launcher installs it for `./freehold test`): it reads our metadata and our signed
 * request, and what it answers is accepted.
 */

const program = fileURLToPath(new URL('../../../test/support/lasso_idp.py', import.meta.url));
/** The one of the system: packages of Debian are not seen by others. */
const python = '/usr/bin/python3';

let engine: SamlEngine;
let signer: Signer;
let ours: ServiceProviderKey;
let request: OutgoingMessage;

before(async () => {
  const sinceThen = systemClock.now() - nowMs;
  signer = await createSigner(2048, { from: sinceThen - 86_400_000, until: sinceThen + 86_400_000 });
  ours = await createServiceProviderKey(systemClock.now());
  engine = createSamlEngine({ clock: systemClock, log: silentLog });
  request = engine.createAuthnRequest({
    ssoUrl: 'https://idp.example.org/sso',
    acsUrl,
    spEntityId,
    relayState: 'opaque',
    nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
    signWith: ours,
  });
});
after(() => engine.stop());

const idpMetadata = () =>
  '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" ' +
  `entityID="${idpEntityId}"><md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
  `<md:KeyDescriptor use="signing"><ds:KeyInfo>${keyInfoOf(signer.certificate)}</ds:KeyInfo></md:KeyDescriptor>` +
  '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.org/sso"/>' +
  '</md:IDPSSODescriptor></md:EntityDescriptor>';

interface Answer {
  readonly url: string;
  readonly field: string;
}

function ask(modes: readonly { signature: string; encryption?: string }[], query: string): Promise<Answer[]> {
  /** Lasso's times have no fractions. */
  const inMs = (ms: number) => `${new Date(systemClock.now() + ms).toISOString().slice(0, 19)}Z`;
  const asked = {
    modes,
    query,
    idpMetadata: idpMetadata(),
    key: signer.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    certificate: signer.certificate,
    spEntityId,
    spMetadata: serviceProviderMetadata({
      spEntityId,
      acsUrl,
      sloUrl,
      signingCertificates: [ours.certificate],
      encryptionCertificates: [ours.certificate],
    }),
    nameId: victim,
    now: inMs(0),
    notBefore: inMs(-60_000),
    notOnOrAfter: inMs(600_000),
  };
  return new Promise((resolve, reject) => {
    const child = execFile(python, [program], (error, stdout, stderr) => {
      if (!error) resolve(JSON.parse(stdout) as Answer[]);
      else if (stderr.includes("No module named 'lasso'"))
        reject(
          new Error('Lasso is missing. ./freehold test installs it where it can; else: apt-get install python3-lasso'),
        );
      else reject(new Error(stderr));
    });
    child.stdin!.end(JSON.stringify(asked));
  });
}

const query = () => request.url.slice(request.url.indexOf('?') + 1);
const verify = (field: string) =>
  engine.verifyResponse({
    samlResponse: field,
    expected: {
      acsUrl,
      spEntityId,
      idpEntityId,
      certificates: [signer.certificate],
      decryptionKeys: [ours.privateKey],
      requestIds: [request.id],
      nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
    },
  });

test('Lasso reads our metadata and our signed request, and its answers are accepted', async () => {
  const modes = [
    { signature: 'RSA_SHA256' },
    { signature: 'RSA_SHA384' },
    { signature: 'RSA_SHA512' },
    { signature: 'RSA_SHA256', encryption: 'AES_256' },
    { signature: 'RSA_SHA256', encryption: 'AES_128' },
  ];
  const answers = await ask(modes, query());
  assert.equal(answers.length, modes.length);
  for (const [index, { url, field }] of answers.entries()) {
    assert.equal(url, acsUrl);
    const verdict = await verify(field);
    assert.equal(verdict.ok || verdict.reason, true, JSON.stringify(modes[index]));
    assert.equal(verdict.ok && verdict.assertion.nameId, victim);
  }
});

test('its answers with SHA-1 are refused, and it refuses a request that was altered', async () => {
  const [answer] = await ask([{ signature: 'RSA_SHA1' }], query());
  const verdict = await verify(answer!.field);
  assert.equal(!verdict.ok && verdict.reason, 'signature_algorithm');
  await assert.rejects(ask([{ signature: 'RSA_SHA256' }], query().replace('RelayState=opaque', 'RelayState=other')));
});
