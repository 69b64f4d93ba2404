import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '#src/kernel/index.ts';
import {
  type LedgerWriter,
  regionNames,
  type ShippingWorld,
  startLedger,
  startShippingWorld,
} from './shipping.fixture.ts';

/** Kills; the long series belongs to the slow tests. */
const rounds = process.env.FREEHOLD_SLOW_TESTS === '1' ? 200 : 4;
const seed = Number(process.env.FREEHOLD_SEED ?? Date.now() % 100_000);

let world: ShippingWorld;
let ledger: LedgerWriter;
before(async () => {
  world = await startShippingWorld();
  const first = await world.start();
  await waitFor('the stream', () => first.status().receiver.state === 'streaming', { deadlineMs: 120_000 });
  await world.takeBase();
  await first.stop();
  ledger = await startLedger(world, { synchronous: true, everyMs: 0, writers: 8 });
});
after(() => world.remove());

/** mulberry32 */
function randomOf(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test(`recovery point 0: ${rounds} kills, no acknowledged commit is missing in either region (seed ${seed})`, async (context) => {
  const random = randomOf(seed);
  for (let round = 1; round <= rounds; round++) {
    const before = ledger.acknowledged.length;
    const child = await world.launch('', { chunkIntervalMs: 20 });
    await waitFor('commits that wait', () => ledger.acknowledged.length > before + 20, { deadlineMs: 120_000 });
    await delay(random() * 400);
    const what = ['shipper', 'server', 'both'][Math.floor(random() * 3)]!;
    const seen = what === 'server' ? undefined : child.kill();
    await Promise.all([seen, what === 'shipper' ? undefined : world.server.crash()]);
    // Whatever was acknowledged by now was in both regions before, whoever was killed.
    const acknowledged = [...ledger.acknowledged];
    await child.kill();
    const region = regionNames[round % 2]!;
    const held = await world.restore(region, acknowledged.at(-1)!.lsn, async (db) => {
      const rows = await db.query<{ n: number }>('SELECT n FROM ledger');
      return new Set(rows.map(({ n }) => n));
    });
    const missing = acknowledged.filter(({ n }) => !held.has(n));
    assert.deepEqual(missing, [], `round ${round}: ${what} was killed, ${region} lacks commits (seed ${seed})`);
    context.diagnostic(`round ${round}: killed ${what}, ${region} has all ${acknowledged.length} acknowledged commits`);
  }
});
