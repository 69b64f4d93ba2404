import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import {
  FreeholdError,
  type Lsn,
  lsnName,
  newId,
  randomBytes,
  timelineName,
  walSegmentBytes,
} from '#src/kernel/index.ts';
import type { KeyId } from '#src/keys/types.ts';
import { createDiskRegion } from '#src/objects/index.ts';
import { openShippedWal } from './shipped-wal.ts';
import { chunkName, historyName, sealHistory, sealWal, segmentName } from './wal-objects.ts';

const clusterId = newId('clu');
const key = { keyId: `${clusterId}.1` as KeyId, key: randomBytes(32) };
const findKey = (keyId: KeyId) => (keyId === key.keyId ? key.key : undefined);
const owner = { clusterId, key };
const segment = walSegmentBytes;
const patient = { withinMs: 60_000 };

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'freehold-shipped-'));
});
after(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  for (const name of ['north', 'south', 'spool']) {
    await rm(path.join(folder, name), { recursive: true, force: true });
    await mkdir(path.join(folder, name));
  }
});

const regionOf = (region: string) => createDiskRegion({ region, root: path.join(folder, region), initialise: true });
const open = () =>
  openShippedWal({
    clusterId,
    findKey,
    regions: [regionOf('north'), regionOf('south')],
    spool: {
      list: () => readdir(path.join(folder, 'spool')),
      read: (name) => readFile(path.join(folder, 'spool', name)).catch(() => undefined),
    },
  });

/** Different on every place and timeline. */
function walOf(timeline: number, start: Lsn, end: Lsn): Buffer {
  return Buffer.from(Array.from({ length: Number(end - start) }, (_, n) => (Number(start) + n) * 31 + timeline * 7));
}

async function put(where: string, timeline: number, start: Lsn, end: Lsn): Promise<void> {
  const sealed = await sealWal('wal', owner, { timeline, start, end }, walOf(timeline, start, end));
  if (where !== 'spool') await regionOf(where).put(chunkName(clusterId, { timeline, start }), sealed);
  else
    await writeFile(path.join(folder, 'spool', `${timelineName(timeline)}_${lsnName(start)}_${lsnName(end)}`), sealed);
}

async function putHistory(where: string, timeline: number, text: string): Promise<void> {
  const sealed = await sealHistory(owner, timeline, Buffer.from(text));
  if (where !== 'spool') await regionOf(where).put(historyName(clusterId, timeline), sealed);
  else await writeFile(path.join(folder, 'spool', `${timelineName(timeline)}_history`), sealed);
}

const at = (offset: number, number = 4n): Lsn => number * segment + BigInt(offset);

test('one has what another lacks: what leads on from a place is taken from all of them', async () => {
  await put('north', 1, at(0), at(1000));
  await put('south', 1, at(1000), at(1500));
  await put('south', 1, at(1400), at(2000));
  await put('spool', 1, at(2000), at(2500));
  const wal = open();
  const extent = await wal.describe({ timeline: 1, lsn: at(300) }, patient);
  assert.deepEqual(extent, {
    line: [{ timeline: 1, begin: 0n }],
    end: at(2500),
    isComplete: true,
    places: [{ name: 'spool' }, { name: 'north' }, { name: 'south' }],
  });
  const data = await wal.openSegment(1, at(0));
  assert.equal(data!.length, Number(segment));
  assert.ok(walOf(1, at(0), at(2500)).equals(data!.subarray(0, 2500)));
  assert.ok(data!.subarray(2500).every((byte) => byte === 0));
});

test('whole segments and chunks; a place that is further than all of it is no hole', async () => {
  const whole = await sealWal(
    'segment',
    owner,
    { timeline: 1, start: at(0), end: at(0, 5n) },
    Buffer.alloc(Number(segment), 5),
  );
  await regionOf('north').put(segmentName(clusterId, 1, at(0)), whole);
  await put('south', 1, at(0, 5n), at(70, 5n));
  const wal = open();
  assert.equal((await wal.describe({ timeline: 1, lsn: at(9) }, patient)).end, at(70, 5n));
  assert.equal((await wal.openSegment(1, at(0)))!.at(-1), 5);
  assert.ok(
    walOf(1, at(0, 5n), at(70, 5n)).equals(Buffer.from((await wal.openSegment(1, at(0, 5n)))!.subarray(0, 70))),
  );
  const ahead = await wal.describe({ timeline: 1, lsn: at(900, 5n) }, patient);
  assert.deepEqual([ahead.end, ahead.isComplete], [at(900, 5n), true]);
});

test('a hole that nobody fills ends it, and it is said that it is not all', async () => {
  await put('north', 1, at(0), at(1000));
  await put('south', 1, at(1001), at(2000));
  const wal = open();
  const extent = await wal.describe({ timeline: 1, lsn: at(0) }, patient);
  assert.deepEqual([extent.end, extent.isComplete], [at(1000), false]);
  // What was described can be had.
  assert.ok(walOf(1, at(0), at(1000)).equals(Buffer.from((await wal.openSegment(1, at(0)))!.subarray(0, 1000))));
  // What is gone by now is an error, never zeros.
  await regionOf('north').remove(chunkName(clusterId, { timeline: 1, start: at(0) }));
  await assert.rejects(wal.openSegment(1, at(0)), { code: 'FH_WAL_GAP' });
});

test('regions that are away: the spool is enough when it leads on, and says nothing when it is empty', async () => {
  await put('north', 1, at(0), at(1000));
  for (const name of ['north', 'south']) await rename(path.join(folder, name), path.join(folder, `${name}-away`));
  try {
    const nobody = await open().describe({ timeline: 1, lsn: at(500) }, patient);
    assert.deepEqual([nobody.end, nobody.isComplete], [at(500), false]);
    assert.equal(nobody.places[0]!.problem, 'there is nothing in it');
    assert.match(nobody.places[1]!.problem!, /north: .* is not there, not mounted/);
    await put('spool', 1, at(1000), at(1200));
    const behind = await open().describe({ timeline: 1, lsn: at(500) }, patient);
    assert.deepEqual([behind.end, behind.isComplete], [at(500), false]);
    const close = await open().describe({ timeline: 1, lsn: at(1100) }, patient);
    assert.deepEqual([close.end, close.isComplete], [at(1200), true]);
  } finally {
    for (const name of ['north', 'south']) {
      await rm(path.join(folder, name), { recursive: true, force: true });
      await rename(path.join(folder, `${name}-away`), path.join(folder, name));
    }
  }
});

test('a region that does not answer is left out after its time', async () => {
  await put('north', 1, at(0), at(1000));
  const silent = {
    ...regionOf('south'),
    list: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }),
  };
  const spool = { list: async () => [], read: async () => undefined };
  const wal = openShippedWal({ clusterId, findKey, regions: [regionOf('north'), silent], spool });
  const extent = await wal.describe({ timeline: 1, lsn: at(0) }, { withinMs: 2_000 });
  assert.deepEqual(extent.places[2], { name: 'south', problem: 'it did not answer in time' });
});

test('over a failover: the newest timeline leads on, from the segment in which it begins', async () => {
  await put('north', 1, at(0), at(3000));
  await put('north', 2, at(0), at(2500));
  await put('spool', 2, at(2500), at(4000));
  await putHistory('spool', 2, `1\t0/${at(2000).toString(16).toUpperCase()}\tfirst\n`);
  const wal = open();
  const extent = await wal.describe({ timeline: 1, lsn: at(1000) }, patient);
  assert.deepEqual(extent.line, [
    { timeline: 1, begin: 0n },
    { timeline: 2, begin: at(2000) },
  ]);
  assert.deepEqual([extent.end, extent.isComplete], [at(4000), true]);
  assert.match(String(await wal.openHistory(2)), /^1\t0\//);
  // A standby that went on where the others did not has no way back.
  await assert.rejects(wal.describe({ timeline: 1, lsn: at(2001) }, patient), { code: 'FH_WAL_GAP' });
});

test('what was changed is not given out', async () => {
  await put('north', 1, at(0), at(1000));
  const forged = await sealWal('wal', owner, { timeline: 1, start: at(0), end: at(900) }, walOf(1, at(0), at(900)));
  await writeFile(path.join(folder, 'spool', `${timelineName(1)}_${lsnName(at(1000))}_${lsnName(at(1900))}`), forged);
  const wal = open();
  const extent = await wal.describe({ timeline: 1, lsn: at(0) }, patient);
  assert.equal(extent.end, at(1900));
  await assert.rejects(
    wal.openSegment(1, at(0)),
    (error) => error instanceof FreeholdError && error.code === 'FH_KEY_UNSEAL',
  );
});
