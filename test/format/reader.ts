/**
 * Reads backups as docs/backup-format.md describes them, and imports nothing of Freehold: proof that the page is enough. Works on a folder that is a
 * region. `node test/format/reader.ts REGION_FOLDER KIT_PAGE_FILE OBJECT_NAME` writes the content of one object to standard output.
 */
import { webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

type Bytes = Uint8Array<ArrayBuffer>;
const { subtle } = webcrypto;
const none = new Uint8Array(0);
const text = (value: string): Bytes => new TextEncoder().encode(value) as Bytes;
const bytesOf = async (path: string): Promise<Bytes> => new Uint8Array(await readFile(path));

/** "Derived keys" */
async function derive(key: Bytes, salt: Bytes, ...words: string[]): Promise<Bytes> {
  const material = await subtle.importKey('raw', key, 'HKDF', false, ['deriveBits']);
  const info = text(['freehold 1', ...words].join('\0'));
  return new Uint8Array(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, material, 256));
}

async function openGcm(key: Bytes, nonce: Bytes, associatedData: Bytes, sealed: Bytes): Promise<Bytes> {
  const imported = await subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
  const parameters = { name: 'AES-GCM', iv: nonce, additionalData: associatedData, tagLength: 128 };
  return new Uint8Array(await subtle.decrypt(parameters, imported, sealed));
}

/** "Small seals" */
async function openSmallSeal(key: Bytes, context: string, sealed: Bytes): Promise<Bytes> {
  if (sealed[0] !== 1) throw new Error('a small seal of another version');
  return openGcm(key, sealed.slice(1, 13), Uint8Array.of(1, ...text(context)), sealed.slice(13));
}

/** "From the page to the root key" */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 5; bit++) if (b & (1 << bit)) product ^= a << bit;
  for (let bit = 9; bit >= 5; bit--) if (product & (1 << bit)) product ^= 0b100101 << (bit - 5);
  return product;
}

async function secretOfPage(page: string): Promise<Bytes> {
  const block = /^Secret[^\n]*\n(.*?)^End of the secret/ms.exec(page)?.[1] ?? page;
  const groups = block.split(/\s+/).filter((word) => word.length === 5);
  if (groups.length !== 14) throw new Error(`the page has ${groups.length} groups`);
  let bits = '';
  for (const [index, group] of groups.entries()) {
    const values = [...group.toUpperCase()].map((c) => alphabet.indexOf(c.replace('O', '0').replace(/[IL]/, '1')));
    const check = values.slice(0, 4).reduce((sum, value, place) => sum ^ multiply(value, 2 ** (place + 1)), index + 1);
    if (values.includes(-1) || check !== values[4]) throw new Error(`group ${index + 1} is mistyped`);
    for (const value of values.slice(0, 4)) bits += value.toString(2).padStart(5, '0');
  }
  const secret = Uint8Array.from({ length: 32 }, (_, at) => Number.parseInt(bits.slice(at * 8, at * 8 + 8), 2));
  const checksum = await derive(secret, none, 'recovery-kit', 'checksum');
  const checksumBits = Array.from(checksum, (byte) => byte.toString(2).padStart(8, '0')).join('');
  if (bits.slice(256) !== `0000${checksumBits.slice(0, 20)}`) throw new Error('the groups are not of one secret');
  return secret;
}

export async function readRootKey(region: string, page: string): Promise<Bytes> {
  const secret = await secretOfPage(page);
  const idBytes = await derive(secret, none, 'recovery-kit', 'id');
  const kitId = `kit_${Array.from(idBytes.slice(0, 26), (byte) => alphabet[byte % 32]!.toLowerCase()).join('')}`;
  const sealed = await bytesOf(join(region, 'kits', kitId));
  return openSmallSeal(await derive(secret, none, 'recovery-kit', 'seal'), `recovery-kit ${kitId}`, sealed);
}

/** "From the root key to the keys of owners" */
async function readOwnerKey(region: string, root: Bytes, owner: string, version: string): Promise<Bytes> {
  const kind = owner.startsWith('ten_') ? 'tenant' : owner.startsWith('clu_') ? 'cluster' : 'installation';
  const wrapping = await derive(root, none, 'wrap-tenant-keys');
  return openSmallSeal(
    wrapping,
    `${kind}-key ${owner} ${version}`,
    await bytesOf(join(region, 'keys', owner, version)),
  );
}

/** The chunks of sealed objects and sealed streams. */
async function openChunks(key: Bytes, associatedData: Bytes, chunks: Bytes): Promise<Buffer> {
  const pieces: Bytes[] = [];
  const count = Math.max(1, Math.ceil(chunks.length / 65_552));
  for (let number = 0; number < count; number++) {
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setBigUint64(3, BigInt(number));
    nonce[11] = number === count - 1 ? 1 : 0;
    const piece = await openGcm(key, nonce, associatedData, chunks.slice(number * 65_552, (number + 1) * 65_552));
    if (piece.length === 0 && number > 0) throw new Error('an empty chunk after others');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** "Sealed objects" */
export async function readObject(region: string, root: Bytes, name: string) {
  const bytes = await bytesOf(join(region, name));
  if (Buffer.from(bytes.slice(0, 4)).toString() !== 'FHO1') throw new Error('not a sealed object');
  const contentAt = 8 + new DataView(bytes.buffer).getUint32(4) + 32;
  const header = JSON.parse(new TextDecoder().decode(bytes.slice(8, contentAt - 32)));
  const [owner, version] = header.keyId.split('.');
  const ownerKey = await readOwnerKey(region, root, owner, version);
  const streamKey = await derive(
    await derive(ownerKey, none, 'backups', owner),
    bytes.slice(contentAt - 32, contentAt),
    'sealed-object',
  );
  const associatedData = new Uint8Array(await subtle.digest('SHA-256', bytes.slice(0, contentAt)));
  return { header, content: await openChunks(streamKey, associatedData, bytes.slice(contentAt)) };
}

/** "Sealed streams (files)" */
export async function readTenantFile(region: string, root: Bytes, tenantId: string, name: string): Promise<Buffer> {
  const bytes = await bytesOf(join(region, name));
  const filesKey = await derive(await readOwnerKey(region, root, tenantId, '1'), none, 'tenant', tenantId, 'files');
  const streamKey = await derive(filesKey, bytes.slice(4, 36), 'sealed-stream', `files:${tenantId}`);
  return openChunks(streamKey, bytes.slice(0, 36), bytes.slice(36));
}

if (import.meta.main) {
  const [region, page, name] = process.argv.slice(2);
  const root = await readRootKey(region!, await readFile(page!, 'utf8'));
  process.stdout.write((await readObject(region!, root, name!)).content);
}
