import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { segmentStart, waitFor, walSegmentBytes } from '#src/kernel/index.ts';
import {
  type LedgerWriter,
  type RegionName,
  regionNames,
  type ShippingWorld,
  startLedger,
  startShippingWorld,
  waitUntilShipped,
} from './shipping.fixture.ts';
import { parseWalName } from './wal-objects.ts';

/** What may be lost of commits that do not wait: those of the last second. Beside other tests the machine itself may stand still for longer than that. */
const recoveryPointMs = process.env.FREEHOLD_SLOW_TESTS === '1' ? 1_000 : 5_000;

let world: ShippingWorld;
let ledger: LedgerWriter;
let from: bigint;
before(async () => {
  world = await startShippingWorld();
  // The slot, so that nothing of what follows is missed.
  const first = await world.start();
  await waitFor('the stream', () => first.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  from = segmentStart(await world.takeBase());
  await first.stop();
  ledger = await startLedger(world);
});
after(() => world.remove());

const readLedger = (region: RegionName, atLeast: bigint) =>
  world.restore(region, atLeast, async (db) => {
    const rows = await db.query<{ n: number }>('SELECT n FROM ledger ORDER BY n');
    return new Set(rows.map(({ n }) => n));
  });

/** Commits so much that a segment is full. */
async function fillSegment(): Promise<void> {
  const db = await world.server.connect();
  try {
    await db.query('CREATE TABLE IF NOT EXISTS ballast (filler text)');
    await db.query('INSERT INTO ballast SELECT repeat(md5(i::text), 30) FROM generate_series(1, 20000) i');
  } finally {
    await db.close();
  }
}

const points = [
  'shipping.chunk.cut',
  'shipping.spool.written',
  'shipping.spool.named',
  'shipping.spool.durable',
  'shipping.region.put',
  'objects.published',
  'region.read-back',
  'shipping.region.shipped',
  'shipping.spool.removed',
];
for (const point of points) {
  test(`killed at ${point}: both regions have what was committed a second before`, async (context) => {
    const doomed = await world.launch();
    // Caught up first: what is measured is the shipper at work, not its way back.
    await waitUntilCaughtUp();
    doomed.arm(`${point}=kill@2`);
    const { signal, atMs, problems } = await doomed.ended;
    assert.equal(signal, 'SIGKILL', problems);
    for (const region of regionNames) {
      const { lsn } = (await world.archive(region).end())!;
      const lost = ledger.acknowledged.find((commit) => commit.lsn > lsn && commit.atMs < atMs);
      const lossMs = lost ? Math.round(atMs - lost.atMs) : 0;
      context.diagnostic(`${region} lacked the last ${lossMs} ms`);
      assert.ok(lossMs <= recoveryPointMs, `${region} lacked ${lossMs} ms`);
    }
  });
}

async function waitUntilCaughtUp(): Promise<void> {
  const target = await world.flushed();
  for (const region of regionNames)
    await waitFor(`${region} to catch up`, async () => ((await world.archive(region).end())?.lsn ?? 0n) >= target, {
      deadlineMs: 120_000,
      everyMs: 50,
    });
}

/** Chunks are left only of the segment that is being filled. */
async function isCompacted(region: RegionName): Promise<boolean> {
  const segments = new Set<bigint>();
  for await (const { name } of world.regions[region].list(`wal/${world.clusterId}/`))
    segments.add(parseWalName(name)!.number / walSegmentBytes);
  return segments.size <= 1;
}

const segmentPoints = [
  'shipping.segment.put',
  'shipping.segment.written',
  'shipping.segment.verified',
  'shipping.segment.chunk_removed',
];
for (const point of segmentPoints) {
  test(`killed at ${point}: the WAL of the region stays whole, and the next run goes on`, async () => {
    const doomed = await world.launch(`${point}=kill`);
    await fillSegment();
    const { signal, problems } = await doomed.ended;
    assert.equal(signal, 'SIGKILL', problems);
    const child = await world.launch();
    await waitUntilShipped(world, from, await world.flushed());
    for (const region of regionNames)
      await waitFor(`${region} to be compacted`, () => isCompacted(region), { deadlineMs: 120_000, everyMs: 100 });
    await child.kill();
  });
}

test('the whole machine dies: one region alone restores what was committed until a second before', async () => {
  const child = await world.launch();
  await waitUntilCaughtUp();
  const seen = ledger.acknowledged.length;
  await waitFor(
    'more commits, and some that are older than what may be lost',
    () => ledger.acknowledged.length > seen + 100 && ledger.acknowledged[0]!.atMs < performance.now() - recoveryPointMs,
    { deadlineMs: 120_000 },
  );
  const [killedAtMs] = await Promise.all([child.kill(), world.server.crash()]);
  const due = ledger.acknowledged.filter(({ atMs }) => atMs < killedAtMs - recoveryPointMs);
  for (const region of regionNames) {
    const held = await readLedger(region, due.at(-1)!.lsn);
    const missing = due.filter(({ n }) => !held.has(n));
    assert.deepEqual(missing, [], region);
    // A prefix: nothing before the last row that is there is missing of what was acknowledged.
    const last = Math.max(...held);
    assert.deepEqual(
      ledger.acknowledged.filter(({ n }) => n < last && !held.has(n)),
      [],
    );
  }
});

test('after all of it nothing is missing anywhere', async () => {
  await ledger.stop();
  const child = await world.launch();
  const end = await world.flushed();
  await waitUntilShipped(world, from, end);
  for (const region of regionNames) {
    const held = await readLedger(region, end);
    assert.deepEqual(
      ledger.acknowledged.filter(({ n }) => !held.has(n)),
      [],
    );
  }
  await child.kill();
});
