/** What keeps WAL from going on without an error of PostgreSQL's: faults F12, F14, F29 of docs/backup-faults.md. One server for all. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { armFailpoints, type Lsn, segmentStart, silentLog, waitFor } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { mountSmallDisk } from '../../../test/faults/support/small-disk.ts';
import type { Shipper, ShipperOptions } from './shipper.ts';
import { type ShippingWorld, startShippingWorld, waitUntilShipped } from './shipping.fixture.ts';
import { chunkName } from './wal-objects.ts';

const waits = { deadlineMs: 120_000 };
let world: ShippingWorld;
/** Everything behind it must be in both regions in the end. */
let from: Lsn;
before(async () => {
  world = await startShippingWorld();
  from = segmentStart(await world.flushed());
});
after(() => world?.remove());

async function write(rows: number): Promise<Lsn> {
  const db = await world.server.connect();
  try {
    await db.query('CREATE TABLE IF NOT EXISTS ballast (filler text)');
    await db.query('INSERT INTO ballast SELECT repeat(md5(i::text), 30) FROM generate_series(1, $1::int) i', [rows]);
  } finally {
    await db.close();
  }
  return world.flushed();
}

async function start(options: Partial<ShipperOptions> = {}): Promise<Shipper> {
  world.events.length = 0;
  const shipper = await world.start({ awayAfterMs: 1_000, ...options });
  await waitFor('the stream', () => shipper.status().receiver.state === 'streaming', waits);
  return shipper;
}

const heard = (kind: string) => world.events.some((event) => event.kind === kind);
/** On a slow machine north may be away for a moment as well. */
const onlySouthIsAway = (shipper: Shipper) =>
  shipper
    .status()
    .regions.map(({ state }) => state)
    .join() === 'shipping,away';

test('a region that takes the bytes and never answers: the lag is that of the region, and it is an alarm', async () => {
  const { north, south } = world.regions;
  const letGo = Promise.withResolvers<void>();
  const silent: RegionStore = {
    ...south,
    async put(...args) {
      await letGo.promise;
      return south.put(...args);
    },
  };
  const shipper = await start({ regions: [north, silent] });
  const end = await write(100);
  await waitFor('the alarm', () => heard('region.away') && onlySouthIsAway(shipper), waits);
  await waitFor('north to go on', () => shipper.status().flushed >= end && onlySouthIsAway(shipper), waits);
  const [answering, stuck] = shipper.status().regions;
  assert.equal(answering!.state, 'shipping');
  assert.ok(answering!.shipped >= end);
  assert.equal(stuck!.state, 'away');
  assert.ok(stuck!.shipped < end && stuck!.lagMs >= 1_000 && stuck!.owedObjects > 0);
  // Received and spooled it is; only what lies in the region counts.
  assert.ok(shipper.status().spooled >= end);

  letGo.resolve();
  await waitFor('it to be back', () => heard('region.back'), waits);
  await waitUntilShipped(world, from, await world.flushed());
  await shipper.stop();
});

test('an empty object under the name of the next chunk, as a crash leaves it: an alarm that names the region, not a silent stop', async () => {
  const first = await start();
  await waitUntilShipped(world, from, await write(1));
  await first.stop();
  const { spooled, timeline } = first.status();
  const name = chunkName(world.clusterId, { timeline, start: spooled });
  const file = path.join(world.rootOf('south'), name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, '');

  const second = await start();
  const end = await write(100);
  await waitFor('the alarm', () => heard('region.away') && onlySouthIsAway(second), waits);
  await waitFor('north to go on', () => second.status().flushed >= end && onlySouthIsAway(second), waits);
  const [north, south] = second.status().regions;
  assert.ok(north!.state === 'shipping' && north!.shipped >= end);
  assert.ok(south!.state === 'away' && south!.owedObjects > 0);
  assert.notEqual(south!.lastError, undefined);
  // It is nobody's to replace: a person looks at it first.
  assert.equal((await stat(file)).size, 0);

  await chmod(file, 0o600);
  await rm(file);
  await waitFor('it to be back', () => heard('region.back'), waits);
  await waitUntilShipped(world, from, end);
  await second.stop();
});

test('the disk of the spool is full: nothing is confirmed that is not held, and it goes on when there is room', async () => {
  const disk = mountSmallDisk(8);
  let shipper: Shipper | undefined;
  try {
    const spoolDir = disk ? path.join(disk.folder, 'spool') : path.join(world.server.folder, 'other-spool');
    const told: string[] = [];
    const log = { ...silentLog, error: (text: string) => void told.push(text) };
    shipper = await start({ spoolDir, log });
    const before = await write(1);
    await waitUntilShipped(world, from, before);
    if (disk) disk.keepFilled(0);
    // Where mounting is not allowed, the write fails as on a full disk.
    else armFailpoints('shipping.spool.written=enospc');
    const end = await write(100);
    const { status } = shipper;
    await waitFor('it to be told', () => told.includes('received WAL could not be kept'), waits);
    // Every try begins anew with the server; how long nothing has come through does not.
    if (disk) await waitFor('the lag to grow', () => status().regions.every(({ lagMs }) => lagMs > 3_000), waits);
    if (disk) {
      const { flushed, spooled, receiver, regions } = status();
      assert.equal(receiver.state, 'connecting');
      assert.match(receiver.lastError!, /ENOSPC/);
      assert.ok(spooled < end && flushed < end);
      for (const { shipped } of regions) assert.ok(shipped <= spooled);
    }

    if (disk) disk.free();
    else armFailpoints('');
    await waitUntilShipped(world, from, end);
    assert.deepEqual(shipper.status().gaps, []);
    assert.ok(!heard('slot.lost'));
  } finally {
    armFailpoints('');
    await shipper?.stop();
    disk?.unmount();
  }
});
