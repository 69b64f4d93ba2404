import { openXmlEncryption, type XmlContentCipher } from '#src/keys/index.ts';
import { namespaces } from './names.ts';
import { Refused, refuse } from './refused.ts';
import { decodeText, everyElement, findChild, messageLimits, readXml, type XmlElement } from './xml.ts';

const ciphers: ReadonlyMap<string, XmlContentCipher> = new Map([
  [`${namespaces.xenc11}aes128-gcm`, 'aes-128-gcm'],
  [`${namespaces.xenc11}aes192-gcm`, 'aes-192-gcm'],
  [`${namespaces.xenc11}aes256-gcm`, 'aes-256-gcm'],
  [`${namespaces.xenc}aes128-cbc`, 'aes-128-cbc'],
  [`${namespaces.xenc}aes192-cbc`, 'aes-192-cbc'],
  [`${namespaces.xenc}aes256-cbc`, 'aes-256-cbc'],
]);

type OaepHash = 'sha1' | 'sha256' | 'sha384' | 'sha512';

const oaepDigests: ReadonlyMap<string, OaepHash> = new Map([
  [`${namespaces.ds}sha1`, 'sha1'],
  [`${namespaces.xenc}sha256`, 'sha256'],
  ['http://www.w3.org/2001/04/xmldsig-more#sha384', 'sha384'],
  [`${namespaces.xenc}sha512`, 'sha512'],
]);

/**
 * Opens the one EncryptedData of an EncryptedAssertion or EncryptedID as a document of its own; the text is as untrusted as the whole message was. `isAuthentic`: the ciphertext
 * lies under a verified signature. Without that only GCM is opened: with CBC every answer to an altered ciphertext would tell something
 * about the content. Throws Refused, `decryption` for everything that depends on a key.
 */
export function openEncrypted(
  encrypted: XmlElement,
  { decryptionKeys, isAuthentic }: { decryptionKeys: readonly string[]; isAuthentic: boolean },
): { readonly text: string; readonly element: XmlElement } {
  const data = findChild(encrypted, 'xenc:EncryptedData')!;
  if ([...everyElement(data)].filter((element) => element.name === 'xenc:EncryptedKey').length !== 1)
    refuse('structure');
  const key = findChild(findChild(data, 'ds:KeyInfo')!, 'xenc:EncryptedKey') ?? refuse('structure');
  const cipher = ciphers.get(methodOf(data).attributes.get('Algorithm')!) ?? refuse('encryption_algorithm');
  if (methodOf(data).children.length > 0) refuse('encryption_algorithm');
  if (cipher.endsWith('-cbc') && !isAuthentic) refuse('encryption_algorithm');
  const oaepHash = readOaep(methodOf(key));
  if (decryptionKeys.length === 0) refuse('encryption_key');
  try {
    const opened = openXmlEncryption(decryptionKeys.slice(0, 4), {
      cipher,
      oaepHash,
      wrappedKey: cipherValueOf(key),
      sealed: cipherValueOf(data),
    });
    const text = decodeText(opened, messageLimits);
    return { text, element: readXml(text, messageLimits) };
  } catch (error) {
    // What is no text or no XML comes from a wrong key as well as from a wrong sender, with CBC above all: one answer for both.
    if (error instanceof Refused || isUnseal(error)) refuse('decryption');
    throw error;
  }
}

const isUnseal = (error: unknown) => (error as { code?: unknown }).code === 'FH_KEY_UNSEAL';
const methodOf = (element: XmlElement) => findChild(element, 'xenc:EncryptionMethod')!;

function cipherValueOf(element: XmlElement): Buffer {
  const value = findChild(findChild(element, 'xenc:CipherData')!, 'xenc:CipherValue')!;
  return Buffer.from(value.text.replace(/\s/g, ''), 'base64');
}

/** `rsa-oaep-mgf1p` is SHA-1 throughout (XML Encryption 5.5.2; with another digest MGF1 would stay SHA-1, which nobody needs); 1.1 names both. */
function readOaep(method: XmlElement): OaepHash {
  const algorithm = method.attributes.get('Algorithm');
  const digest = findChild(method, 'ds:DigestMethod')?.attributes.get('Algorithm') ?? `${namespaces.ds}sha1`;
  const mask = findChild(method, 'xenc11:MGF')?.attributes.get('Algorithm') ?? `${namespaces.xenc11}mgf1sha1`;
  const hash = oaepDigests.get(digest) ?? refuse('encryption_algorithm');
  if (mask !== `${namespaces.xenc11}mgf1${hash}`) refuse('encryption_algorithm');
  if (algorithm === `${namespaces.xenc}rsa-oaep-mgf1p` && hash === 'sha1') return hash;
  return algorithm === `${namespaces.xenc11}rsa-oaep` ? hash : refuse('encryption_algorithm');
}
