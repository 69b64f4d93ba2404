import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { apiTokenPattern, hashApiToken, newApiToken } from './api-token.ts';

test('a token is fhp_, thirty random characters and a checksum; what is mistyped is no token', () => {
  // CRC-32 of the first 34 characters, computed by Python's zlib, in base62.
  const known = 'fhp_AbCdEfGhIj0123456789KlMnOpQrSt29O2RC';
  assert.equal(hashApiToken(known)?.toString('hex'), createHash('sha256').update(known).digest('hex'));
  const seen = new Set<string>();
  const counts = new Map<string, number>();
  for (let made = 0; made < 2_000; made++) {
    const token = newApiToken();
    assert.match(token, apiTokenPattern);
    assert.equal(hashApiToken(token)?.length, 32);
    seen.add(token);
    for (const sign of token.slice(4, 34)) counts.set(sign, (counts.get(sign) ?? 0) + 1);
  }
  assert.equal(seen.size, 2_000);
  assert.equal(counts.size, 62);
  // 60,000 characters, 968 of each on average; no sign is likelier than another by more than chance makes one in a billion runs.
  for (const [sign, count] of counts) assert.ok(count > 750 && count < 1_190, `${sign}: ${count}`);

  const token = newApiToken();
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === 'a' ? 'b' : 'a';
    assert.equal(hashApiToken(token.slice(0, at) + other + token.slice(at + 1)), undefined, `position ${at}`);
  }
  for (const wrong of ['', ' ', token.slice(0, -1), `${token}0`, ` ${token}`, `${token}\n`, token.toUpperCase()])
    assert.equal(hashApiToken(wrong), undefined);
});
