import assert from 'node:assert/strict';
import { cp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { type Lsn, segmentStart, waitFor, walSegmentBytes } from '#src/kernel/index.ts';
import type { WalPiece } from '../types.ts';
import type { Shipper } from './shipper.ts';
import {
  type ChildOptions,
  regionNames,
  type ShippingWorld,
  startShippingWorld,
  waitUntilShipped,
} from './shipping.fixture.ts';

const patient = { deadlineMs: 60_000 };
/** Whole chunks, for what takes segments. */
const roomy: ChildOptions = { awayAfterMs: 500, spoolLimitBytes: 1_500_000 };
const tight: ChildOptions = { awayAfterMs: 500, spoolLimitBytes: 400_000, chunkBytes: 256 * 1024 };

let world: ShippingWorld;
afterEach(() => world.remove());

const gone = () => path.join(world.server.folder, 'gone');
const heard = (kind: string) => world.events.some((event) => event.kind === kind);
const owedTo = (shipper: Shipper, region: string) =>
  shipper.status().regions.find((entry) => entry.region === region)!.owedBytes;

/** Random, so that it does not shrink: 1,000 rows are about 75 kB of WAL, sealed 30 kB. */
async function writeNoise(rows = 20_000): Promise<Lsn> {
  const db = await world.server.connect();
  try {
    await db.query('CREATE TABLE IF NOT EXISTS noise (id uuid)');
    await db.query('INSERT INTO noise SELECT gen_random_uuid() FROM generate_series(1, $1::int)', [rows]);
  } finally {
    await db.close();
  }
  return world.flushed();
}

async function startStreaming(options: ChildOptions = tight): Promise<Shipper> {
  const shipper = await world.start(options);
  await waitFor('the stream', () => shipper.status().receiver.state === 'streaming', patient);
  return shipper;
}

async function hasReached(region: 'north' | 'south', lsn: Lsn): Promise<boolean> {
  return ((await world.archive(region).end())?.lsn ?? 0n) >= lsn;
}

test('a region is away for longer than the spool can hold: the other goes on, and copies it all when it is back', async () => {
  world = await startShippingWorld();
  const first = await startStreaming(roomy);
  const from = segmentStart(await world.takeBase());
  await waitUntilShipped(world, from, await writeNoise());
  await rename(world.rootOf('south'), gone());
  const goneAt = await world.flushed();
  let end = goneAt;
  // Two segments, so that one of them is whole: north compacts it, and south gets it so.
  while (end < goneAt + 2n * walSegmentBytes) end = await writeNoise(150_000);
  await waitFor('north to have all', () => hasReached('north', end), patient);
  await waitFor('the record of what south is owed', () => owedTo(first, 'south') > walSegmentBytes, patient);
  assert.ok(heard('region.owed'));
  await waitFor('the spool to have room again', () => first.status().spoolBytes < 4_000_000, patient);
  const status = first.status();
  // The server need not keep what only south lacks, and nobody with recovery point zero was told that south has it.
  assert.ok(status.confirmed < status.flushed);
  assert.equal(status.regions[1]!.state, 'away');
  assert.ok(status.regions[1]!.lagMs > 0);

  // The record outlives the process, and WAL goes on meanwhile.
  await first.stop();
  const second = await startStreaming(roomy);
  assert.ok(owedTo(second, 'south') > walSegmentBytes);
  await rename(gone(), world.rootOf('south'));
  await waitFor('south to be given what it lacked', () => owedTo(second, 'south') === 0, patient);
  await waitFor('word of it', () => heard('region.caught_up'), patient);
  assert.ok(second.status().regions[1]!.copiedBytes > 0);
  await waitUntilShipped(world, from, await writeNoise());
  await waitFor('both to be confirmed', () => second.status().confirmed >= end, patient);
  assert.deepEqual(second.status().gaps, []);
  const [row] = await world.restore('south', end, (db) =>
    db.query<{ n: number }>('SELECT count(*)::int AS n FROM noise'),
  );
  assert.equal(row!.n % 10_000, 0);
});

test('both regions are away: nothing is dropped, nothing is received, and it goes on by itself', async () => {
  world = await startShippingWorld();
  const shipper = await startStreaming();
  const from = segmentStart(await writeNoise());
  await waitUntilShipped(world, from, await world.flushed());
  for (const region of regionNames) await rename(world.rootOf(region), `${gone()}-${region}`);
  const end = await writeNoise(60_000);
  await waitFor('the alarm', () => heard('spool.full'), patient);
  assert.ok(shipper.status().received < end, 'the slot keeps the rest');
  // While both are away, one may be owed a little that the other took before it went too; more than that stays in the spool.
  const owed = regionNames.map((region) => owedTo(shipper, region));
  assert.ok(Math.min(...owed) <= 2 ** 20, `what left the spool: ${owed.join(' and ')} bytes`);
  await rename(`${gone()}-north`, world.rootOf('north'));
  await waitFor('north to have all', () => hasReached('north', end), patient);
  await rename(`${gone()}-south`, world.rootOf('south'));
  await waitUntilShipped(world, from, end);
  assert.ok(heard('spool.has_room'));
  assert.deepEqual(shipper.status().gaps, []);
});

test('what no region holds any more is a gap that is named, and the rest is copied all the same', async () => {
  world = await startShippingWorld();
  const shipper = await startStreaming();
  const from = segmentStart(await writeNoise());
  await waitUntilShipped(world, from, await world.flushed());
  await rename(world.rootOf('south'), gone());
  const end = await writeNoise(60_000);
  await waitFor('the record', () => owedTo(shipper, 'south') > 2_000_000, patient);
  await waitFor('north to have all', () => hasReached('north', end), patient);
  await shipper.stop();
  await rename(gone(), world.rootOf('south'));
  // One chunk in the midst of what south lacks goes from north, which is lost for ever then.
  const lacking: WalPiece[] = [];
  for await (const piece of world.archive('north').pieces(1, { from }))
    if (!(await world.regions.south.stat(piece.name))) lacking.push(piece);
  const lost = lacking[2]!;
  await world.regions.north.remove(lost.name);
  const second = await startStreaming();
  await waitFor('the rest', () => owedTo(second, 'south') === 0, patient);
  assert.deepEqual(
    second.status().gaps.map((gap) => [gap.from, gap.to]),
    [[lost.start, lost.end]],
  );
  await waitFor('south to have the end', () => hasReached('south', end), patient);
  const stretches = await world.archive('south').coverage(1, { from });
  assert.equal(stretches.length, 2);
  assert.deepEqual([stretches[0]!.end, stretches[1]!.start], [lost.start, lost.end]);
});

test('killed at every step of handing over and of copying: nothing is missing in the end', async (context) => {
  world = await startShippingWorld();
  const first = await startStreaming();
  const from = segmentStart(await writeNoise());
  await waitUntilShipped(world, from, await world.flushed());
  await first.stop();
  await rename(world.rootOf('south'), gone());
  for (const point of ['shipping.owed.written', 'shipping.owed.recorded', 'shipping.spool.removed']) {
    const doomed = await world.launch(`${point}=kill`, tight);
    await writeNoise();
    const { signal, problems } = await doomed.ended;
    assert.equal(signal, 'SIGKILL', `${point}: ${problems}`);
    context.diagnostic(`killed at ${point}`);
  }
  const between = await world.launch('', tight);
  const end = await writeNoise();
  await waitFor('north to have all', () => hasReached('north', end), patient);
  await between.kill();
  // South comes back with what it had, as a copy: north stays alone with the rest.
  await cp(gone(), world.rootOf('south'), { recursive: true });
  await rm(gone(), { recursive: true });
  // What is done is written down per segment, so there is something left to copy each time.
  for (const point of ['shipping.catch_up.put', 'shipping.catch_up.copied', 'shipping.owed.settled']) {
    const doomed = await world.launch(`${point}=kill`, tight);
    const { signal, problems } = await doomed.ended;
    assert.equal(signal, 'SIGKILL', `${point}: ${problems}`);
    context.diagnostic(`killed at ${point}`);
  }
  const last = await startStreaming();
  await waitUntilShipped(world, from, await writeNoise());
  await waitFor('nothing to be owed', () => owedTo(last, 'south') === 0, patient);
  assert.deepEqual(last.status().gaps, []);
});
