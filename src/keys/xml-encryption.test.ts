import assert from 'node:assert/strict';
import { constants, createCipheriv, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { openXmlEncryption, type XmlEncrypted } from './xml-encryption.ts';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });

function sealed(cipher: XmlEncrypted['cipher'], text: string, keyBytes = Number(cipher.slice(4, 7)) / 8): XmlEncrypted {
  const key = randomBytes(keyBytes);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const wrappedKey = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, key);
  if (keyBytes * 8 !== Number(cipher.slice(4, 7)))
    return { cipher, oaepHash: 'sha256', wrappedKey, sealed: randomBytes(64) };
  const vector = randomBytes(cipher.endsWith('gcm') ? 12 : 16);
  const engine = createCipheriv(cipher as 'aes-256-gcm', key, vector);
  const parts = [vector, engine.update(text), engine.final()];
  if (cipher.endsWith('gcm')) parts.push(engine.getAuthTag());
  return { cipher, oaepHash: 'sha256', wrappedKey, sealed: Buffer.concat(parts) };
}

const ciphers = ['aes-128-gcm', 'aes-192-gcm', 'aes-256-gcm', 'aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc'] as const;

test('opens what was encrypted to one of our keys', () => {
  // Many times, because with CBC a wrong key looks right now and then.
  for (const cipher of ciphers.flatMap((cipher) => Array<typeof cipher>(20).fill(cipher)))
    assert.equal(
      openXmlEncryption([String(other), pem], sealed(cipher, `<a>${cipher}</a>`)).toString(),
      `<a>${cipher}</a>`,
    );
});

test('whatever is wrong, the error is the same', () => {
  const good = sealed('aes-256-gcm', '<a/>');
  const cut = (bytes: Uint8Array, length: number) => bytes.subarray(0, length);
  const turned = (bytes: Uint8Array, at: number) => Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ 1 : byte));
  const broken: [string, readonly string[], XmlEncrypted][] = [
    ['another key', [String(other)], good],
    ['no key', [], good],
    ['a key that is none', ['-----BEGIN PRIVATE KEY-----'], good],
    ['another hash', [pem], { ...good, oaepHash: 'sha1' }],
    ['the wrapped key altered', [pem], { ...good, wrappedKey: turned(good.wrappedKey, 9) }],
    ['the wrapped key cut short', [pem], { ...good, wrappedKey: cut(good.wrappedKey, 9) }],
    ['a key of another length', [pem], sealed('aes-256-gcm', '', 16)],
    ['the nonce altered', [pem], { ...good, sealed: turned(good.sealed, 0) }],
    ['the content altered', [pem], { ...good, sealed: turned(good.sealed, 13) }],
    ['the tag altered', [pem], { ...good, sealed: turned(good.sealed, good.sealed.length - 1) }],
    ['the tag cut short', [pem], { ...good, sealed: cut(good.sealed, good.sealed.length - 4) }],
    ['nothing', [pem], { ...good, sealed: new Uint8Array() }],
    ...Array.from({ length: 40 }, (_, at): [string, readonly string[], XmlEncrypted] => [
      `CBC with another key, ${at}`,
      [String(other)],
      sealed('aes-256-cbc', '<a/>'),
    ]),
    ['CBC of half a block', [pem], { ...sealed('aes-256-cbc', ''), sealed: randomBytes(40) }],
  ];
  const errors = broken.map(([name, keys, encrypted]) => {
    try {
      openXmlEncryption(keys, encrypted);
    } catch (error) {
      const { code, message, cause } = error as { code: string; message: string; cause: unknown };
      return JSON.stringify({ code, message, cause });
    }
    return `${name}: opened`;
  });
  assert.equal(new Set(errors).size, 1, errors.join('\n'));
  assert.match(errors[0]!, /FH_KEY_UNSEAL/);
});
