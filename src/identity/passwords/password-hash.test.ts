import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPasswordQueue } from './hash-queue.ts';
import { hashPassword, newDummyHash, normalisePassword, verifyPassword } from './password-hash.ts';

test('a hash is a PHC string of argon2id at the OWASP floor, and verifies', async () => {
  const phc = await hashPassword('correct');
  assert.match(phc, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.deepEqual(await verifyPassword('correct', phc), { matches: true, needsRehash: false });
  assert.deepEqual(await verifyPassword('Correct', phc), { matches: false, needsRehash: false });
  assert.notEqual(await hashPassword('correct'), phc);
});

test('a hash made by the reference implementation verifies and asks to be replaced', async () => {
  // echo -n "password" | argon2 somesalt -id -t 2 -m 16 -p 1 -l 24 (phc-winner-argon2, README and test.c use this salt)
  const phc = await hashPassword('password', { memoryKiB: 1024, passes: 3, parallelism: 2 });
  assert.deepEqual(await verifyPassword('password', phc), { matches: true, needsRehash: true });
  assert.equal(
    (
      await verifyPassword(
        'password',
        '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
      )
    ).matches,
    true,
  );
});

test('malformed and absurd hashes are refused before any memory is taken', async () => {
  for (const phc of [
    '',
    'x',
    '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  ])
    await assert.rejects(verifyPassword('password', phc), /malformed password hash/);
});

test('the dummy hash has the shape and cost of a real one', async () => {
  const real = (await hashPassword('x')).split('$');
  const dummy = newDummyHash().split('$');
  assert.deepEqual(dummy.slice(0, 4), real.slice(0, 4));
  assert.deepEqual(
    dummy.map((part) => part.length),
    real.map((part) => part.length),
  );
});

test('normalising bounds the length before and after', () => {
  assert.equal(normalisePassword('ﬁne'), 'fine');
  assert.equal(normalisePassword('x'.repeat(1024))?.length, 1024);
  assert.equal(normalisePassword('x'.repeat(1025)), undefined);
  // 3 bytes become 33: U+FDFA.
  assert.equal(normalisePassword('\ufdfa'.repeat(100)), undefined);
  assert.equal(normalisePassword('\udc00'), undefined);
});

test('the queue bounds what hashes at once and who waits, serves in order, and keeps places for whoever is known', async () => {
  const queue = createPasswordQueue({ concurrency: 1, maxAdmitted: 4 });
  const done: string[] = [];
  const attempt = (name: string, isKnown: boolean) =>
    queue.admit(async () => {
      await queue.verify('x', undefined, isKnown);
      done.push(name);
    }, isKnown);
  const results = await Promise.allSettled([
    ...Array.from({ length: 10 }, (_, number) => attempt(`stranger ${number}`, false)),
    attempt('known', true),
    attempt('one too many', true),
  ]);
  const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  // The first was being hashed already.
  assert.deepEqual(done, ['stranger 0', 'known', 'stranger 1', 'stranger 2']);
  assert.equal(refused.length, 8);
  for (const error of refused)
    assert.deepEqual([error.code, error.status, error.retryAfterSeconds > 0], ['FH_BUSY', 503, true]);
  for (let round = 0; round < 2; round++) await queue.admit(() => queue.verify('x', undefined));
});

test('nobody’s hash is never matched', async () => {
  const queue = createPasswordQueue({ concurrency: 1 });
  for (const password of ['', 'x', 'x'.repeat(5000)])
    assert.equal((await queue.verify(password, undefined)).matches, false);
  const ofEmpty = await hashPassword('');
  // Too long to be a password: compared as the empty one, and still no match.
  assert.equal((await queue.verify('x'.repeat(5000), ofEmpty)).matches, false);
});

test('a hash from elsewhere does not choose what a sign-in costs', async () => {
  const phc = (cost: string) => `$argon2id$v=19$${cost}$${'A'.repeat(22)}$${'A'.repeat(43)}`;
  for (const cost of ['m=9999999,t=2,p=1', 'm=19456,t=99,p=1', 'm=19456,t=2,p=99', 'm=65537,t=1,p=1'])
    await assert.rejects(verifyPassword('x', phc(cost)), /costs more/, cost);
  assert.equal((await verifyPassword('x', phc('m=65536,t=1,p=1'))).matches, false);
});
