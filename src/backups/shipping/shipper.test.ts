import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { segmentFileName, segmentStart, waitFor, walSegmentBytes } from '#src/kernel/index.ts';
import {
  regionNames,
  type ShippingWorld,
  startLedger,
  startShippingWorld,
  waitUntilShipped,
} from './shipping.fixture.ts';

let world: ShippingWorld;
let from: bigint;
before(async () => {
  world = await startShippingWorld();
});
after(() => world.remove());

test('WAL reaches both regions, segments are the files of the server, and the database is restored from either', async () => {
  const shipper = await world.start();
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
    assert.deepEqual(
      rows.map(({ n }) => n),
      ledger.acknowledged.map(({ n }) => n),
    );
  }
  const status = shipper.status();
  assert.equal(status.receiver.state, 'streaming');
  assert.ok(status.received >= status.spooled && status.spooled >= status.regions[0]!.shipped);
  await shipper.stop();
  assert.equal(shipper.status().receiver.state, 'stopped');
});
