import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { segmentFileName, segmentStart, waitFor, walSegmentBytes } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { shippingFigures } from './figures.ts';
import {
  regionNames,
  type ShippingWorld,
  startLedger,
  startShippingWorld,
  waitUntilShipped,
} from './shipping.fixture.ts';
import { readWal } from './wal-reader.ts';

let world: ShippingWorld;
let from: bigint;
before(async () => {
  world = await startShippingWorld();
});
after(() => world.remove());

test('WAL reaches both regions, segments are the files of the server, and the database is restored from either', async (t) => {
  const shipper = await world.start();
  t.after(() => shipper.stop());
  // The slot first: it keeps the WAL that the backup needs.
  await waitFor('the stream', () => shipper.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  from = segmentStart(await world.takeBase());
  const ledger = await startLedger(world, { everyMs: 1 });
  await waitFor('some commits', () => ledger.acknowledged.length > 300);
  await ledger.stop();
  const end = await world.flushed();
  await waitUntilShipped(world, from, end);
  for (const region of regionNames) {
    const segment = await world.archive(region).openSegment(1, from);
    const file = await readFile(path.join(world.server.cluster.options.dataDir, 'pg_wal', segmentFileName(1, from)));
    const known = Number(end < from + walSegmentBytes ? end - from : walSegmentBytes);
    assert.ok(segment!.subarray(0, known).equals(file.subarray(0, known)));
    const rows = await world.restore(region, end, (db) => db.query<{ n: number }>('SELECT n FROM ledger ORDER BY n'));
    const acknowledged = ledger.acknowledged.map(({ n }) => n);
    assert.deepEqual(
      rows.slice(0, acknowledged.length).map(({ n }) => n),
      acknowledged,
    );
    // The last one may have been committed while nobody waited for its answer any more.
    assert.ok(rows.length <= acknowledged.length + 1, `${rows.length} rows, ${acknowledged.length} acknowledged`);
  }
  const status = shipper.status();
  assert.equal(status.receiver.state, 'streaming');
  assert.ok(status.received >= status.spooled && status.spooled >= status.regions[0]!.shipped);
  await shipper.stop();
  assert.equal(shipper.status().receiver.state, 'stopped');
});

test('a segment that grows each time somebody looks: its reader comes to an end, and reads every chunk once', async () => {
  const { north: store } = world.regions;
  const last = await world.flushed();
  const whole = await world.archive('north').openSegment(1, last);
  let shown = 0;
  let chunksRead = 0;
  const growing: RegionStore = {
    ...store,
    async *list(folder, options) {
      const infos = await Array.fromAsync(store.list(folder, options));
      if (!folder.startsWith('wal/')) return yield* infos;
      const all = await Array.fromAsync(store.list(folder));
      const known = new Set(all.slice(0, ++shown).map(({ name }) => name));
      yield* infos.filter(({ name }) => known.has(name));
    },
    get(name) {
      if (name.startsWith('wal/')) chunksRead++;
      return store.get(name);
    },
  };
  const { clusterId, key } = world;
  const archive = readWal({ store: growing, clusterId, findKey: async () => key.key });
  const segment = await archive.openSegment(1, last);
  assert.ok(shown > 3 && segment!.equals(whole!), `${shown} looks`);
  assert.ok(chunksRead <= shown, `${chunksRead} chunks read, ${shown} looks`);
});

test('what both regions hold is flushed, and told in figures', async (t) => {
  const shipper = await world.start();
  t.after(() => shipper.stop());
  await waitFor('the stream', () => shipper.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  const db = await world.server.connect();
  await db.query('CREATE TABLE moved ()');
  await db.close();
  const end = await world.flushed();
  const hasAll = () => shipper.status().regions.every(({ shipped }) => shipped >= end);
  await waitFor('both regions', hasAll, { deadlineMs: 120_000 });
  const { flushed } = shipper.status();
  assert.ok(flushed >= end, 'a commit that waits would have been answered');
  const figures = shippingFigures(shipper.status());
  const value = (name: string) => figures.find((figure) => figure.name === `freehold_wal_${name}`)?.value;
  assert.equal(value('receiver_streaming'), 1);
  assert.ok(value('shipping_seconds_count')! >= 1);
  assert.equal(figures.filter(({ name }) => name === 'freehold_wal_region_away').length, 2);
  const infinite = figures.filter(({ labels }) => labels.le === '+Inf');
  assert.equal(infinite[0]!.value, value('shipping_seconds_count'));
  await shipper.stop();
});

test('the key is rotated while it ships: what comes is sealed under the new one, and all of it is read', async (t) => {
  const shipper = await world.start();
  t.after(() => shipper.stop());
  await waitFor('the stream', () => shipper.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  const next = world.rotateKey();
  shipper.useKey(next);
  const db = await world.server.connect();
  await db.query('CREATE TABLE sealed_anew ()');
  await db.close();
  const end = await world.flushed();
  await waitUntilShipped(world, from, end);
  const [newest] = (await Array.fromAsync(world.regions.south.list(`wal/${world.clusterId}/`))).reverse();
  const sealed = await buffer((await world.regions.south.get(newest!.name))!);
  assert.match(sealed.subarray(8, 300).toString('latin1'), new RegExp(`"keyId":"${next.keyId}"`));
});

test('the server restarts and crashes: receiving goes on by itself', async (t) => {
  const shipper = await world.start();
  t.after(() => shipper.stop());
  await waitFor('the stream', () => shipper.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  await world.server.cluster.stop({ smartMs: 0 });
  assert.equal(world.server.cluster.status().state, 'stopped');
  await waitFor('the interruption', () => shipper.status().receiver.lastError !== undefined);
  await world.server.cluster.start();
  const ledger = await startLedger(world, { synchronous: true });
  await waitFor('commits that wait', () => ledger.acknowledged.length > 2, { deadlineMs: 120_000 });
  await world.server.crash();
  const before = ledger.acknowledged.length;
  await waitFor('commits again', () => ledger.acknowledged.length > before, { deadlineMs: 120_000 });
  await ledger.stop();
  await waitUntilShipped(world, from, await world.flushed());
  assert.deepEqual(shipper.status().gaps, []);
  await shipper.stop();
});
