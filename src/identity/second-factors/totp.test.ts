import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBase32, findTotpStep, parseTotpCode, totpCode, totpUri } from './totp.ts';

/** RFC 6238, appendix B. */
const rfcSecret = Buffer.from('12345678901234567890', 'ascii');

test('the test vectors of RFC 6238 for SHA-1; ours are the last six of their eight digits', () => {
  const vectors: [number, string][] = [
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ];
  for (const [seconds, code] of vectors) assert.equal(totpCode(rfcSecret, Math.floor(seconds / 30)), code.slice(2));
});

test('the test vectors of RFC 4226, appendix D', () => {
  const codes = '755224 287082 359152 969429 338314 254676 287922 162583 399871 520489'.split(' ');
  for (const [counter, code] of codes.entries()) assert.equal(totpCode(rfcSecret, counter), code);
});

test('a code is good for its own step and one on either side, and never for a step that is over', () => {
  const present = 1_000;
  for (const offset of [-3, -2, -1, 0, 1, 2, 3])
    for (const second of [0, 29]) {
      const code = totpCode(rfcSecret, present + offset);
      const found = findTotpStep(rfcSecret, code, { nowSeconds: present * 30 + second, lastStep: 0 });
      assert.equal(found, Math.abs(offset) <= 1 ? present + offset : undefined, `${offset} steps, second ${second}`);
    }
  for (const lastStep of [present, present + 1, present + 100])
    assert.equal(
      findTotpStep(rfcSecret, totpCode(rfcSecret, present), { nowSeconds: present * 30, lastStep }),
      undefined,
    );
});

test('what people type: groups are put together, everything else is no code', () => {
  for (const typed of ['123456', '123 456', ' 123456\n', '12-34-56']) assert.equal(parseTotpCode(typed), '123456');
  for (const typed of ['', '12345', '1234567', '12345a', '１２３４５６', '1'.repeat(1_000_000), ' '.repeat(30)])
    assert.equal(parseTotpCode(typed), undefined);
});

test('base32 of RFC 4648, and the address for the app', () => {
  const text = (word: string) => encodeBase32(Buffer.from(word));
  assert.deepEqual(['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar'].map(text), [
    '',
    'MY',
    'MZXQ',
    'MZXW6',
    'MZXW6YQ',
    'MZXW6YTB',
    'MZXW6YTBOI',
  ]);
  const uri = totpUri(encodeBase32(rfcSecret), { issuer: 'Acme: Söhne & Co', account: 'o+1@acme.example' });
  const { protocol, host, pathname, searchParams } = new URL(uri);
  assert.deepEqual(
    [protocol, host, decodeURIComponent(pathname)],
    ['otpauth:', 'totp', '/Acme  Söhne & Co:o+1@acme.example'],
  );
  assert.deepEqual(Object.fromEntries(searchParams), {
    secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
    issuer: 'Acme  Söhne & Co',
    algorithm: 'SHA1',
    digits: '6',
    period: '30',
  });
});
