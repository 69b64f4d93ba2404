import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomBytes } from '#src/kernel/index.ts';
import { createSealer } from './sealer.ts';

const unsealError = { code: 'FH_KEY_UNSEAL' };

test('what is sealed opens with the same key and context, and with nothing else', () => {
  const sealer = createSealer(randomBytes(32));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), fc.string(), (plaintext, context, other) => {
      const sealed = sealer.seal(plaintext, context);
      assert.equal(sealed.length, plaintext.length + 29);
      assert.deepEqual(new Uint8Array(sealer.open(sealed, context)), plaintext);
      if (other !== context) assert.throws(() => sealer.open(sealed, other), unsealError);
      assert.throws(() => createSealer(randomBytes(32)).open(sealed, context), unsealError);
    }),
    { numRuns: 100 },
  );
});

test('every flipped bit and every cut is refused alike', () => {
  const sealer = createSealer(randomBytes(32));
  const sealed = sealer.seal(Buffer.from('32 bytes of a session token ....'), 'context');
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const altered = Buffer.from(sealed);
    altered[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => sealer.open(altered, 'context'), unsealError);
  }
  for (let length = 0; length < sealed.length; length++)
    assert.throws(() => sealer.open(sealed.subarray(0, length), 'context'), unsealError);
  assert.throws(() => sealer.open(Buffer.concat([sealed, Buffer.of(0)]), 'context'), unsealError);
});

test('a key of another length is refused', () => {
  assert.throws(() => createSealer(randomBytes(16)), TypeError);
});
