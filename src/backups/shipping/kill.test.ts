import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { segmentStart, waitFor } from '#src/kernel/index.ts';
import {
  type LedgerWriter,
  regionNames,
  type ShippingWorld,
  startLedger,
  startShippingWorld,
  waitUntilShipped,
} from './shipping.fixture.ts';

/** What may be lost of commits that do not wait: those of the last second. */
const recoveryPointMs = 1_000;

let world: ShippingWorld;
let ledger: LedgerWriter;
let from: bigint;
before(async () => {
  world = await startShippingWorld();
  // The slot, so that nothing of what follows is missed.
  const first = await world.start();
  await waitFor('the stream', () => first.status().receiver.state === 'streaming');
  from = segmentStart(await world.takeBase());
  await first.stop();
  ledger = await startLedger(world);
});
after(() => world.remove());

const readLedger = (region: 'north' | 'south', atLeast: bigint) =>
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

const points: [point: string, pass: number][] = [
  ['shipping.chunk.cut', 12],
  ['shipping.spool.written', 12],
  ['shipping.spool.named', 12],
  ['shipping.spool.durable', 12],
  ['shipping.region.put', 24],
  ['shipping.region.shipped', 23],
  ['shipping.region.shipped', 24],
  ['shipping.spool.removed', 12],
  ['objects.published', 12],
];
for (const [point, pass] of points) {
  test(`killed at ${point} (${pass}): both regions have what was committed until a second before`, async () => {
    const child = await world.launch();
    // Caught up first: what is measured is the shipper at work, not its way back.
    await waitUntilCaughtUp();
    await child.kill();
    const doomed = await world.launch(`${point}=kill@${pass}`);
    const { signal, atMs, problems } = await doomed.ended;
    assert.equal(signal, 'SIGKILL', problems);
    await assertHeld(atMs);
  });
}

async function waitUntilCaughtUp(): Promise<void> {
  const target = await world.flushed();
  for (const region of regionNames)
    await waitFor(`${region} to catch up`, async () => ((await world.archive(region).end())?.lsn ?? 0n) >= target, {
      deadlineMs: 30_000,
      everyMs: 50,
    });
}

async function assertHeld(killedAtMs: number): Promise<void> {
  const last = ledger.acknowledged.findLast(({ atMs }) => atMs < killedAtMs - recoveryPointMs);
  if (!last) return;
  for (const region of regionNames) {
    const end = await world.archive(region).end();
    assert.ok(end!.lsn > last.lsn, `${region} ends at ${end!.lsn}, ${last.n} was committed at ${last.lsn}`);
  }
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
    await fillSegment();
    const end = await world.flushed();
    await waitUntilShipped(world, from, end);
    await child.kill();
  });
}

test('the whole machine dies: one region alone restores what was committed until a second before', async () => {
  const child = await world.launch();
  await waitUntilCaughtUp();
  const seen = ledger.acknowledged.length;
  await waitFor('more commits', () => ledger.acknowledged.length > seen + 100, { deadlineMs: 30_000 });
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
