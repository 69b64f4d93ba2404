import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomBytes } from '#src/kernel/index.ts';
import { canonicalJson, createDocumentSigner, type JsonDocument, verifyDocument } from './signing.ts';

const signer = createDocumentSigner(randomBytes(32));
const certificate = {
  certificateId: 'crt_1',
  tenant: { tenantId: 'ten_1', title: 'Bäckerei "Krume" \u2028' },
  destroyed: [
    { what: 'database', rows: 12 },
    { what: 'key', rows: null },
  ],
  complete: true,
};

test('a signed document verifies, also after a trip through JSON with its keys in another order', () => {
  const signed = signer.signDocument(certificate);
  assert.ok(verifyDocument(signed, signer.publicKeyPem));
  const { signature, ...content } = JSON.parse(JSON.stringify(signed));
  assert.ok(
    verifyDocument({ signature, ...Object.fromEntries(Object.entries(content).reverse()) }, signer.publicKeyPem),
  );
});

test('any other content, key or signature is refused', () => {
  const signed = signer.signDocument(certificate);
  const other = createDocumentSigner(randomBytes(32));
  const refused: unknown[] = [
    { ...signed, complete: false },
    { ...signed, extra: 1 },
    { ...signed, destroyed: [] },
    { ...signed, signature: { ...signed.signature, value: 'AAAA' } },
    { ...signed, signature: { ...signed.signature, algorithm: 'none' } },
    { ...signed, signature: null },
    certificate,
    null,
    [],
    'text',
  ];
  for (const document of refused) assert.equal(verifyDocument(document, signer.publicKeyPem), false);
  assert.equal(verifyDocument(signed, other.publicKeyPem), false);
  assert.equal(verifyDocument(other.signDocument(certificate), signer.publicKeyPem), false);
});

test('the same secret gives the same key', () => {
  const seed = randomBytes(32);
  assert.equal(createDocumentSigner(seed).publicKeyPem, createDocumentSigner(seed).publicKeyPem);
});

test('the canonical text is JSON of the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const plain = JSON.parse(JSON.stringify(value)) as JsonDocument;
      assert.deepEqual(JSON.parse(canonicalJson(plain)), plain);
    }),
  );
  assert.equal(
    canonicalJson({ b: 1, a: [true, null, { d: 'x', c: 1.5 }] }),
    '{"a":[true,null,{"c":1.5,"d":"x"}],"b":1}',
  );
  assert.throws(() => canonicalJson({ n: Number.NaN }), TypeError);
});
