import assert from 'node:assert/strict';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { type Lsn, segmentStart, waitFor } from '#src/kernel/index.ts';
import { openReplication } from '#src/postgres/index.ts';
import {
  regionNames,
  type ShippingWorld,
  startLedger,
  startShippingWorld,
  waitUntilShipped,
} from './shipping.fixture.ts';
import { chunkName, sealWal } from './wal-objects.ts';

let world: ShippingWorld;
afterEach(() => world.remove());

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

const heard = (kind: string) => world.events.some((event) => event.kind === kind);

async function firstPlace(): Promise<Lsn> {
  const [piece] = await Array.fromAsync(world.archive('north').pieces(1));
  return piece!.start;
}

test('a region goes away: commits go on, but for those with recovery point zero; it catches up by itself, and so do they', async () => {
  world = await startShippingWorld();
  const shipper = await world.start({ awayAfterMs: 1_500 });
  await waitFor('the stream', () => shipper.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  const waiting = await startLedger(world, { synchronous: true });
  await waitFor('commits that wait', () => waiting.acknowledged.length > 3, { deadlineMs: 60_000 });
  const gone = path.join(world.server.folder, 'gone');
  await rename(world.rootOf('south'), gone);
  // On a slow machine north may be away for a moment as well.
  const onlySouthIsAway = () =>
    shipper
      .status()
      .regions.map(({ state }) => state)
      .join() === 'shipping,away';
  await waitFor('the alarm', () => heard('region.away') && onlySouthIsAway(), { deadlineMs: 120_000 });
  const before = waiting.acknowledged.length;
  const flushedBefore = shipper.status().flushed;
  // Others do not wait, and the server need not keep what only south lacks.
  const end = await write(1_000);
  assert.ok(end > flushedBefore);
  await waitFor('north to go on', () => shipper.status().flushed >= end, { deadlineMs: 60_000 });
  assert.ok(shipper.status().confirmed < end);
  // The one that was under way when the region went may have been in time.
  assert.ok(waiting.acknowledged.length <= before + 1, `${waiting.acknowledged.length - before} commits were answered`);
  await waitFor('north to be there', onlySouthIsAway, { deadlineMs: 120_000 });
  const [, south] = shipper.status().regions;
  assert.ok(south!.lagMs > 1_000 && south!.owedObjects > 0);
  assert.match(south!.lastError!, /south/);
  assert.ok(shipper.status().spoolBytes > 0);

  await rename(gone, world.rootOf('south'));
  await waitFor('it to be back', () => heard('region.back'), { deadlineMs: 60_000 });
  await waitFor('commits again', () => waiting.acknowledged.length > before + 5, { deadlineMs: 60_000 });
  await waiting.stop();
  await waitUntilShipped(world, await firstPlace(), await world.flushed());
  await waitFor('an empty spool', () => shipper.status().regions.every(({ owedObjects }) => owedObjects === 0));
  assert.deepEqual(shipper.status().gaps, []);
});

test('a slot that was invalidated is a gap: announced, named by whoever reads across it, and shipped on behind it', async () => {
  world = await startShippingWorld({
    settings: { max_slot_wal_keep_size: '16MB', wal_keep_size: '0', max_wal_size: '32MB', min_wal_size: '32MB' },
  });
  const first = await world.start();
  await waitFor('the stream', () => first.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  await waitUntilShipped(world, segmentStart(await world.flushed()), await write(1));
  await first.stop();
  const last = first.status().spooled;
  await waitFor(
    'the slot to lose its WAL',
    async () => {
      await write(40_000);
      const connection = await openReplication(world.server.replication, { applicationName: 'test' });
      const slot = await connection.readSlot('freehold_shipper').finally(() => connection.close());
      return slot!.restartLsn === undefined;
    },
    { deadlineMs: 60_000 },
  );
  const second = await world.start();
  await waitFor('the alarm', () => heard('wal.gap'), { deadlineMs: 120_000 });
  assert.ok(heard('slot.lost'));
  const [lost] = second.status().gaps;
  assert.equal(lost!.from, last);
  await waitUntilShipped(world, lost!.to, await write(1));
  // On a slow machine the server gives up the new slot as well, with limits as low as these: then that is a gap like any other.
  const { gaps } = second.status();
  for (const region of regionNames) {
    const archive = world.archive(region);
    const stretches = await archive.coverage(1);
    assert.deepEqual(
      stretches.map(({ start }, index) => (index === 0 ? undefined : [stretches[index - 1]!.end, start])).slice(1),
      gaps.map(({ from, to }) => [from, to]),
    );
    for (const { from } of gaps) await assert.rejects(archive.openSegment(1, from), { code: 'FH_WAL_GAP' });
    assert.ok(await archive.openSegment(1, gaps.at(-1)!.to));
  }
});

test('other bytes under the name of a chunk are a second writer: nothing is overwritten and shipping ends', async () => {
  world = await startShippingWorld();
  const first = await world.start();
  await waitFor('the stream', () => first.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  await waitUntilShipped(world, segmentStart(await world.flushed()), await write(1));
  await first.stop();
  const { spooled, timeline } = first.status();
  const forged = { timeline, start: spooled, end: spooled + 8n };
  const sealed = await sealWal('wal', world, forged, Buffer.from('not ours'));
  await world.regions.south.put(chunkName(world.clusterId, forged), sealed);
  const second = await world.start();
  await write(10);
  await assert.rejects(second.done, { code: 'FH_WAL_SECOND_WRITER' });
  assert.ok(heard('wal.second_writer'));
  assert.equal(second.status().stoppedBy, 'FH_WAL_SECOND_WRITER');
  assert.equal(second.status().receiver.state, 'stopped');
});

test('the spool is lost with its machine: shipping goes on where the regions end, and the same WAL cut otherwise is no second writer', async () => {
  world = await startShippingWorld();
  const first = await world.start();
  await waitFor('the stream', () => first.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  await waitUntilShipped(world, segmentStart(await world.flushed()), await write(1));
  const from = await firstPlace();
  await first.stop();
  await rm(path.join(world.server.folder, 'spool'), { recursive: true });
  // One region has less than the other: chunks of its end are gone.
  const names = await Array.fromAsync(world.regions.south.list(`wal/${world.clusterId}/`));
  await world.regions.south.remove(names.at(-1)!.name);
  const ends = [(await world.archive('north').end())!.lsn, (await world.archive('south').end())!.lsn];
  assert.ok(ends[0]! > ends[1]!);
  const second = await world.start();
  const end = await write(2_000);
  await waitFor('both regions to go on', () => second.status().regions.every(({ shipped }) => shipped >= end), {
    deadlineMs: 120_000,
  });
  // What south lacks, it gets from north.
  await waitUntilShipped(world, from, end);
  assert.equal(await firstPlace(), from);
});

test('a new timeline: its history comes first, its segments are whole, and a restore crosses the switch', async () => {
  world = await startShippingWorld();
  const first = await world.start();
  await waitFor('the stream', () => first.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  const from = segmentStart(await world.takeBase());
  await write(100);
  await waitUntilShipped(world, from, await world.flushed());
  await first.stop();
  // What the shipper has not seen when the timeline ends.
  const unseen = await write(30_000);
  await world.server.cluster.stop({ smartMs: 0 });
  const { dataDir } = world.server.cluster.options;
  await writeFile(path.join(dataDir, 'recovery.signal'), '');
  await writeFile(path.join(dataDir, 'postgresql.auto.conf'), "restore_command = 'false'\n");
  await world.server.cluster.start();
  await waitFor('the promotion', async () => {
    const db = await world.server.connect();
    return db
      .query('SELECT pg_is_in_recovery() AS standby')
      .finally(() => db.close())
      .then(([row]) => !row!.standby);
  });
  const second = await world.start();
  const end = await write(500);
  await waitFor('the new timeline', () => second.status().timeline === 2 && second.status().flushed >= end, {
    deadlineMs: 120_000,
  });
  for (const region of regionNames) {
    const archive = world.archive(region);
    assert.deepEqual(await archive.timelines(), [1, 2]);
    const [step] = await archive.ancestors(2);
    assert.ok(step!.timeline === 1 && step!.switchedAt >= unseen);
    assert.deepEqual(await archive.coverage(1, { from }), [{ start: from, end: step!.switchedAt }]);
    const [stretch, ...more] = await archive.coverage(2);
    assert.equal(stretch!.start, segmentStart(step!.switchedAt));
    assert.deepEqual(more, []);
    assert.ok(stretch!.end >= end);
    const [row] = await world.restore(region, end, (db) => db.query('SELECT count(*)::int AS n FROM ballast'));
    assert.deepEqual(row, { n: 30_600 });
  }
});

test('an old primary that comes back is not shipped from', async () => {
  world = await startShippingWorld();
  const first = await world.start();
  await waitFor('the stream', () => first.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  await waitUntilShipped(world, segmentStart(await world.flushed()), await write(1));
  await first.stop();
  // As if timeline 2 had been shipped already.
  const from = first.status().spooled;
  const ahead = { timeline: 2, start: from, end: from + 4n };
  await rm(path.join(world.server.folder, 'spool'), { recursive: true });
  for (const region of regionNames) {
    await world.regions[region].put(`history/${world.clusterId}/00000002`, Buffer.from('not opened here'));
    await world.regions[region].put(
      chunkName(world.clusterId, ahead),
      await sealWal('wal', world, ahead, Buffer.from('next')),
    );
  }
  const second = await world.start();
  await waitFor('the refusal', () => /older timeline/.test(second.status().receiver.lastError ?? ''));
  assert.notEqual(second.status().receiver.state, 'streaming');
});
