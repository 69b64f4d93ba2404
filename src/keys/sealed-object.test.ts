import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { newId, randomBytes } from '#src/kernel/index.ts';
import { deriveKey } from './derive.ts';
import { openObject, openObjectBytes, sealedObjectBytes, sealObject, sealObjectBytes } from './sealed-object.ts';
import { canonicalJson } from './signing.ts';
import { streamChunkBytes } from './stream.ts';
import type { KeyId, ObjectHeader } from './types.ts';

const unsealError = { code: 'FH_KEY_UNSEAL' };
const sealedChunkBytes = streamChunkBytes + 16;
const [clusterA, clusterB] = [newId('clu'), newId('clu')];
const [tenantA, tenantB] = [newId('ten'), newId('ten')];
const keyOfA = randomBytes(32);

const header: ObjectHeader = {
  kind: 'wal',
  keyId: `${clusterA}.1`,
  clusterId: clusterA,
  timeline: 1,
  start: '16/B374D848',
  end: '16/B3750000',
  at: '2026-11-22T03:00:00.000Z',
  last: false,
};
const keys = new Map<KeyId, Buffer>([
  [`${clusterA}.1`, keyOfA],
  [`${clusterA}.2`, randomBytes(32)],
  [`${clusterB}.1`, randomBytes(32)],
  [`${tenantA}.1`, randomBytes(32)],
  [`${tenantB}.1`, randomBytes(32)],
]);
const findKey = (keyId: KeyId) => keys.get(keyId);
/** What somebody who wants this one object says. */
const all = header;

async function* pieces(bytes: Uint8Array, sizes: readonly number[] = [bytes.length || 1]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const seal = (content: Uint8Array, as = header, key: Uint8Array = keys.get(as.keyId)!) =>
  sealObjectBytes(key, as, content);
const open = (sealed: Uint8Array, expect: ObjectHeader = all) => openObjectBytes(sealed, { expect, findKey });
/** The parts of an object; the salt belongs to what is before the chunks. */
function partsOf(sealed: Buffer) {
  const start = 8 + sealed.readUInt32BE(4) + 32;
  return {
    start,
    salt: sealed.subarray(start - 32, start),
    preamble: sealed.subarray(0, start),
    chunks: sealed.subarray(start),
    chunk: (n: number) => sealed.subarray(start + n * sealedChunkBytes, start + (n + 1) * sealedChunkBytes),
  };
}
/** What somebody who has the key could make by hand: any text as header, any chunks, all of it properly authenticated. */
function makeByHand(headerText: Buffer | string, chunks: readonly Uint8Array[]): Buffer {
  const text = Buffer.from(headerText);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  const salt = randomBytes(32);
  const preamble = Buffer.concat([Buffer.from('FHO1'), length, text, salt]);
  const streamKey = deriveKey(keyOfA, ['sealed-object'], salt);
  const sealed = chunks.map((chunk, number) => {
    const nonce = Buffer.from([...Buffer.alloc(10), number, number === chunks.length - 1 ? 1 : 0]);
    const cipher = createCipheriv('aes-256-gcm', streamKey, nonce, { authTagLength: 16 });
    cipher.setAAD(createHash('sha256').update(preamble).digest());
    return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
  });
  return Buffer.concat([preamble, ...sealed]);
}
/** The same chunks under another header. */
function withHeader(sealed: Buffer, text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(text));
  const { salt, chunks } = partsOf(sealed);
  return Buffer.concat([Buffer.from('FHO1'), length, Buffer.from(text), salt, chunks]);
}

test('what is sealed opens at every boundary of a chunk, however it is cut into pieces', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 150_000 }), { minLength: 1, maxLength: 4 });
  const boundaries = [0, 1, 2].flatMap((chunks) => [-1, 0, 1, 17].map((extra) => chunks * streamChunkBytes + extra));
  const length = fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.constantFrom(...boundaries.filter((n) => n >= 0)));
  await fc.assert(
    fc.asyncProperty(length, sizes, sizes, async (length, sealSizes, openSizes) => {
      const content = randomBytes(length);
      const sealing = sealObject(keyOfA, header)(pieces(content, [...sealSizes, 4096]));
      const sealed = Buffer.concat(await Array.fromAsync(sealing));
      assert.equal(sealed.length, sealedObjectBytes(header, length));
      const opened = await openObject(pieces(sealed, [...openSizes, 4096]), { expect: all, findKey });
      assert.deepEqual(opened.header, header);
      assert.ok(Buffer.concat(await Array.fromAsync(opened.content)).equals(content));
    }),
    { numRuns: 60 },
  );
});

test('every flipped bit of a small object is one error', async () => {
  const sealed = await seal(Buffer.from('a small object'));
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const altered = Buffer.from(sealed);
    altered[bit >> 3]! ^= 1 << (bit & 7);
    // Also to somebody who asks for little: then the header is refused by its seal, not by what was expected.
    await assert.rejects(open(altered), unsealError, `bit ${bit}`);
    await assert.rejects(openObjectBytes(altered, { expect: { kind: 'wal' }, findKey }), unsealError, `bit ${bit}`);
  }
});

test('every other value of every byte before the content is one error', async () => {
  const sealed = await seal(Buffer.from('x'));
  const { start } = partsOf(sealed);
  for (let at = 0; at < start; at++)
    for (const delta of [1, 0x20, 0x7f, 0x80, 0xff]) {
      const altered = Buffer.from(sealed);
      altered[at] = (altered[at]! + delta) & 0xff;
      await assert.rejects(openObjectBytes(altered, { expect: { kind: 'wal' }, findKey }), unsealError, `byte ${at}`);
    }
});

test('an object cut at any byte, or longer by anything, is one error', async () => {
  const sealed = await seal(Buffer.from('a small object'));
  for (let length = 0; length < sealed.length; length++)
    await assert.rejects(open(sealed.subarray(0, length)), unsealError, `${length} bytes`);
  for (const tail of [Buffer.of(0), Buffer.alloc(16), partsOf(sealed).chunks, sealed, randomBytes(70_000)])
    await assert.rejects(open(Buffer.concat([sealed, tail])), unsealError);
});

test('chunks cut, reordered, repeated, dropped, spliced or under another header are one error', async () => {
  const content = randomBytes(2 * streamChunkBytes + 100);
  const sealed = await seal(content);
  const { preamble, chunk, chunks, start } = partsOf(sealed);
  for (const around of [0, 1, 2])
    for (const extra of [-17, -16, -1, 0, 1, 15, 16, 17])
      await assert.rejects(open(sealed.subarray(0, start + around * sealedChunkBytes + extra)), unsealError);
  const same = partsOf(await seal(content));
  const later = partsOf(await seal(content, { ...header, start: '16/B3750000', end: '16/B3760000' }));
  const forged: Record<string, Buffer[]> = {
    reordered: [preamble, chunk(1), chunk(0), chunk(2)],
    repeated: [preamble, chunk(0), chunk(0), chunk(1), chunk(2)],
    'first dropped': [preamble, chunk(1), chunk(2)],
    'middle dropped': [preamble, chunk(0), chunk(2)],
    'last repeated': [sealed, chunk(2)],
    'with an empty tail': [sealed, Buffer.alloc(16)],
    'spliced with the same content sealed again': [preamble, chunk(0), same.chunk(1), chunk(2)],
    'under the preamble of the same content': [same.preamble, chunks],
    'under a later header': [later.preamble, chunks],
    'under a later header, own salt': [later.preamble.subarray(0, -32), preamble.subarray(-32), chunks],
  };
  for (const [name, parts] of Object.entries(forged))
    await assert.rejects(
      openObjectBytes(Buffer.concat(parts), { expect: { kind: 'wal' }, findKey }),
      unsealError,
      name,
    );
});

test('an object of another tenant, cluster, time, place, kind or version of a key is not taken for the one expected', async () => {
  const others: Record<string, string | number | boolean>[] = [
    { kind: 'segment' },
    { keyId: `${clusterA}.2` },
    { keyId: `${clusterB}.1` },
    { keyId: `${tenantA}.1` },
    { clusterId: clusterB },
    { timeline: 2 },
    { start: '16/B3750000' },
    { at: '2026-11-22T03:00:01.000Z' },
    { last: true },
  ];
  for (const other of others) {
    const changed = { ...header, ...other } as ObjectHeader;
    const sealed = await seal(Buffer.from('genuine, but another'), changed);
    await open(sealed, changed);
    await assert.rejects(open(sealed), unsealError, JSON.stringify(other));
  }
  // Equal content of two tenants with equal ids of everything else.
  const database = (tenantId: string, keyId: KeyId): ObjectHeader => ({
    kind: 'database',
    keyId,
    tenantId,
    oid: 16_384,
  });
  const ofB = await seal(Buffer.from('rows'), database(tenantB, `${tenantB}.1`));
  await assert.rejects(open(ofB, database(tenantA, `${tenantA}.1`)), unsealError);
  const posing = await seal(Buffer.from('rows'), database(tenantA, `${tenantB}.1`));
  await assert.rejects(open(posing, database(tenantA, `${tenantA}.1`)), unsealError);
  const { at: _at, ...withoutTime } = header;
  await assert.rejects(open(await seal(Buffer.from('x'), withoutTime as ObjectHeader)), unsealError);
});

test('another key, no key, and a key that is gone', async () => {
  const sealed = await seal(Buffer.from('content'));
  const expect = all;
  await assert.rejects(openObjectBytes(sealed, { expect, findKey: () => randomBytes(32) }), unsealError);
  await assert.rejects(openObjectBytes(sealed, { expect, findKey: () => undefined }), unsealError);
  const gone = Object.assign(new Error('gone'), { code: 'FH_KEY_DESTROYED' });
  await assert.rejects(openObjectBytes(sealed, { expect, findKey: () => Promise.reject(gone) }), gone);
  const asked: string[] = [];
  const spy = (keyId: KeyId) => {
    asked.push(keyId);
    return undefined;
  };
  await assert.rejects(openObjectBytes(sealed, { expect: { ...all, clusterId: clusterB }, findKey: spy }), unsealError);
  assert.deepEqual(asked, [], 'no key is looked up for an object that is not the one expected');
  await assert.rejects(open(sealed, { ...all, tenantId: undefined } as unknown as ObjectHeader), TypeError);
});

test('who holds the key of one owner cannot make what passes for the object of another', async () => {
  const forged = await seal(Buffer.from('forged'), { ...header, keyId: `${tenantA}.1` });
  const expect = { kind: 'wal', clusterId: clusterA, start: header.start } as const;
  await assert.rejects(openObjectBytes(forged, { expect, owner: clusterA, findKey }), unsealError);
  for (const version of [1, 2]) {
    const genuine = await seal(Buffer.from('genuine'), { ...header, keyId: `${clusterA}.${version}` });
    assert.equal(String((await openObjectBytes(genuine, { expect, owner: clusterA, findKey })).content), 'genuine');
  }
});

test('one content has one length: no empty chunk at the end, not even from who has the key', async () => {
  const full = Buffer.alloc(streamChunkBytes, 1);
  const text = canonicalJson(header);
  assert.equal((await open(makeByHand(text, [full]))).content.length, streamChunkBytes);
  assert.equal((await open(makeByHand(text, [full, Buffer.of(1)]))).content.length, streamChunkBytes + 1);
  await assert.rejects(open(makeByHand(text, [full, Buffer.alloc(0)])), unsealError);
  await assert.rejects(open(makeByHand(text, [Buffer.of(1), Buffer.of(2)])), unsealError);
  await assert.rejects(open(makeByHand(text, [])), unsealError);
});

test('a length of the header that is a lie is refused before anything is read for it', async () => {
  let readBytes = 0;
  async function* endless() {
    yield Buffer.concat([Buffer.from('FHO1'), Buffer.of(0xff, 0xff, 0xff, 0xff)]);
    for (;;) {
      readBytes += 1_000;
      yield Buffer.alloc(1_000);
    }
  }
  await assert.rejects(openObject(endless(), { expect: { kind: 'wal' }, findKey }), unsealError);
  assert.equal(readBytes, 0);
});

test('any header comes back as it was, and no other header is taken for it', async () => {
  const name = fc.stringMatching(/^[a-z][A-Za-z0-9]{0,20}$/).filter((name) => !(name in Object.prototype));
  const value = fc.oneof(fc.boolean(), fc.maxSafeInteger(), fc.string({ unit: 'binary', maxLength: 30 }));
  const headers = fc
    .dictionary(name, value, { maxKeys: 8, noNullPrototype: true })
    .map((fields) => ({ ...fields, kind: 'ledger', keyId: `${tenantA}.1` }) as ObjectHeader);
  await fc.assert(
    fc.asyncProperty(headers, headers, fc.uint8Array({ maxLength: 50 }), async (one, other, content) => {
      const sealed = await seal(content, one);
      const opened = await open(sealed, one);
      assert.deepEqual(opened.header, one);
      assert.deepEqual(new Uint8Array(opened.content), content);
      if (canonicalJson(one) === canonicalJson(other)) return;
      const forged = withHeader(sealed, canonicalJson(other));
      await assert.rejects(openObjectBytes(forged, { expect: { kind: 'ledger' }, findKey }), unsealError);
    }),
    { numRuns: 100 },
  );
});

test('no change of any kind opens', async () => {
  const sealed = await seal(randomBytes(streamChunkBytes + 1_000));
  const at = fc.integer({ min: 0, max: sealed.length - 1 });
  const change = fc.oneof(
    fc.record({ at, flip: fc.integer({ min: 1, max: 255 }) }).map(({ at, flip }) => {
      const copy = Buffer.from(sealed);
      copy[at]! ^= flip;
      return copy;
    }),
    at.map((length) => sealed.subarray(0, length)),
    fc.tuple(at, at).map(([a, b]) => Buffer.concat([sealed.subarray(0, a), sealed.subarray(b)])),
    fc
      .tuple(at, fc.uint8Array({ minLength: 1, maxLength: 40 }))
      .map(([a, more]) => Buffer.concat([sealed.subarray(0, a), more, sealed.subarray(a)])),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(change, async (changed) => {
      if (changed.equals(sealed)) return;
      await assert.rejects(openObjectBytes(changed, { expect: { kind: 'wal' }, findKey }), unsealError);
    }),
    { numRuns: 300 },
  );
});

test('one content sealed twice shares no salt and no bytes', async () => {
  const content = Buffer.alloc(1_000);
  const [one, two] = [partsOf(await seal(content)), partsOf(await seal(content))];
  assert.notDeepEqual(one.salt, two.salt);
  assert.notDeepEqual(one.chunks, two.chunks);
});

test('the header is given out only when its seal has opened', async () => {
  const sealed = await seal(randomBytes(3 * streamChunkBytes));
  const altered = Buffer.from(sealed);
  altered[partsOf(sealed).start + 5]! ^= 1;
  await assert.rejects(openObject(pieces(altered), { expect: all, findKey }), unsealError);
  // Damage further on is found where it lies: what came before is genuine, the end is not reached.
  const damagedLater = Buffer.from(sealed);
  damagedLater[damagedLater.length - 1]! ^= 1;
  const { content } = await openObject(pieces(damagedLater), { expect: all, findKey });
  await assert.rejects(Array.fromAsync(content), unsealError);
});

test('the source is let go when the content is left early, never read, or refused', async () => {
  let closed = 0;
  async function* source(bytes: Uint8Array) {
    try {
      yield* pieces(bytes, [1_000]);
    } finally {
      closed++;
    }
  }
  const sealed = await seal(randomBytes(300_000));
  const options = { expect: all, findKey };
  for await (const _ of (await openObject(source(sealed), options)).content) break;
  assert.equal(closed, 1);
  await (await openObject(source(sealed), options)).content.return!();
  assert.equal(closed, 2);
  await Array.fromAsync((await openObject(source(sealed), options)).content);
  assert.equal(closed, 3);
  await assert.rejects(openObject(source(randomBytes(5_000)), options), unsealError);
  assert.equal(closed, 4);
  await assert.rejects(openObject(source(sealed), { expect: { ...all, timeline: 9 }, findKey }), unsealError);
  assert.equal(closed, 5);
  for await (const { length } of sealObject(keyOfA, header)(source(randomBytes(300_000)))) if (length > 1_000) break;
  assert.equal(closed, 6);
});

test('an error of the source is the error', async () => {
  async function* broken(bytes: Buffer) {
    yield bytes;
    throw new Error('the region went away');
  }
  const sealed = await seal(randomBytes(200_000));
  const { content } = await openObject(broken(sealed.subarray(0, 150_000)), { expect: all, findKey });
  await assert.rejects(Array.fromAsync(content), /the region went away/);
});
