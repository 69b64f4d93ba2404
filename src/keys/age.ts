import { ReadableStream } from 'node:stream/web';
import { Encrypter } from 'age-encryption';
import { keyErrors } from './errors.ts';

/** One native X25519 recipient of age v1 (age-encryption.org/v1): `age1…`, Bech32 in lower case. */
export type AgeRecipient = string & { readonly __age: true };

/** Throws FH_KEY_AGE_RECIPIENT on anything else: other kinds of recipients, several, a secret key. */
export function parseAgeRecipient(text: string): AgeRecipient {
  const recipient = text.trim();
  if (!/^age1[02-9ac-hj-np-z]{58}$/.test(recipient)) {
    const isSecret = /AGE-SECRET-KEY/i.test(recipient);
    throw keyErrors.FH_KEY_AGE_RECIPIENT(
      isSecret ? { hint: 'That is a secret key: tell it to nobody. Its recipient begins with age1.' } : {},
    );
  }
  try {
    new Encrypter().addRecipient(recipient);
  } catch {
    throw keyErrors.FH_KEY_AGE_RECIPIENT({ detail: 'its checksum is not right' });
  }
  return recipient as AgeRecipient;
}

/** Encrypts a stream to the recipient, so that only `age --decrypt` with their identity reads it. An error of the source ends it: no last chunk is written. */
export async function* encryptToAge(
  recipient: AgeRecipient,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  const encrypted = await encrypter.encrypt(ReadableStream.from(source) as unknown as globalThis.ReadableStream);
  yield* encrypted as unknown as AsyncIterable<Uint8Array>;
}
