import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { encryptToAge, parseAgeRecipient } from './age.ts';

const pieces = async function* (count: number) {
  for (let index = 0; index < count; index++) yield Buffer.alloc(70_001, index);
};

test('what is encrypted to a recipient is opened by its identity and no other', async () => {
  const [mine, other] = await Promise.all([generateX25519Identity(), generateX25519Identity()]);
  const recipient = parseAgeRecipient(`\n ${await identityToRecipient(mine)} `);
  const encrypted = Buffer.concat(await Array.fromAsync(encryptToAge(recipient, pieces(5))));
  assert.equal(encrypted.subarray(0, 22).toString(), 'age-encryption.org/v1\n');
  const open = async (identity: string, bytes: Buffer) => {
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    return decrypter.decrypt(bytes);
  };
  const expected = Buffer.concat(await Array.fromAsync(pieces(5)));
  assert.ok(expected.equals(await open(mine, encrypted)));
  await assert.rejects(open(other, encrypted));
  await assert.rejects(open(mine, encrypted.subarray(0, -1)));
});

test('a source that fails ends the stream with its error', async () => {
  const recipient = parseAgeRecipient(await identityToRecipient(await generateX25519Identity()));
  async function* failing() {
    yield Buffer.from('some');
    throw new Error('damaged');
  }
  await assert.rejects(Array.fromAsync(encryptToAge(recipient, failing())), { message: 'damaged' });
});

test('only one native recipient is taken, and a secret key is answered with a warning', async () => {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const changed = recipient.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'));
  for (const text of ['', 'age1', changed, `${recipient}\n${recipient}`, 'ssh-ed25519 AAAA', recipient.toUpperCase()])
    assert.throws(() => parseAgeRecipient(text), { code: 'FH_KEY_AGE_RECIPIENT' }, text);
  assert.throws(() => parseAgeRecipient(identity), { code: 'FH_KEY_AGE_RECIPIENT', hint: /tell it to nobody/ });
});
