/**
 * How long does a commit take until both regions hold it? Measured by commits that wait for exactly that (`synchronous_commit = on`: the primary answers when
 * the shipper has read the bytes back from both regions), so nothing of the shipper's own clock is trusted. Markers commit at random moments, first
 * alone (idle), then beside sessions that commit as fast as they can without waiting. The regions are folders: add the latency of your own.
 *
 *   node bench/shipping.ts [--seconds 60] [--sessions 8] [--markers 8] [--interval 100]
 */

import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type ShippingWorld, startShippingWorld } from '#src/backups/shipping/shipping.fixture.ts';
import { waitFor } from '#src/kernel/index.ts';
import { quantile, type Row, report } from './report.ts';

export interface ShippingBenchOptions {
  readonly seconds: number;
  /** Sessions that make load. */
  readonly sessions: number;
  /** Sessions whose commits are measured, about 10 a second each. */
  readonly markers: number;
  /** Milliseconds after which a chunk is cut. */
  readonly interval: number;
}

interface Phase {
  readonly name: 'idle' | 'load';
  readonly waitsMs: readonly number[];
  readonly commits: number;
  readonly walBytes: number;
  /** Objects in both regions, chunks that were compacted meanwhile not counted. */
  readonly objects: number;
  readonly seconds: number;
}

export async function runShippingBench(options: ShippingBenchOptions) {
  const world = await startShippingWorld();
  try {
    const db = await world.server.connect();
    await db.query('CREATE TABLE marker (id int PRIMARY KEY, n int)');
    await db.query('CREATE TABLE account (id int PRIMARY KEY, balance int, filler char(84))');
    await db.query("INSERT INTO account SELECT i, 0, '' FROM generate_series(1, 100000) i");
    await db.query('CREATE TABLE history (account int, delta int, at timestamptz DEFAULT now(), filler char(22))');
    await db.query('INSERT INTO marker SELECT i, 0 FROM generate_series(1, $1::int) i', [options.markers]);
    await world.launch('', { chunkIntervalMs: options.interval });
    await db.query('SET synchronous_commit = on');
    await db.query('CHECKPOINT').catch(() => {});
    await waitFor('the shipper', () => db.query('UPDATE marker SET n = 0').then(() => true), { deadlineMs: 60_000 });
    await db.close();
    const phases = [await runPhase(world, 'idle', options), await runPhase(world, 'load', options)];
    return { rows: phases.map(summarise), facts: { options, phases: phases.map(summarise) } };
  } finally {
    await world.remove();
  }
}

async function runPhase(world: ShippingWorld, name: Phase['name'], options: ShippingBenchOptions): Promise<Phase> {
  const waitsMs: number[] = [];
  let commits = 0;
  const end = performance.now() + options.seconds * 1_000;
  const [lsnBefore, objectsBefore] = [await world.flushed(), await countObjects(world)];

  async function mark(id: number): Promise<void> {
    const db = await world.server.connect();
    try {
      await db.query('SET synchronous_commit = on');
      while (performance.now() < end) {
        await delay(Math.random() * 200);
        const startedMs = performance.now();
        await db.query('UPDATE marker SET n = n + 1 WHERE id = $1', [id]);
        waitsMs.push(performance.now() - startedMs);
      }
    } finally {
      await db.close();
    }
  }
  /** As pgbench's simple update. */
  async function load(): Promise<void> {
    const db = await world.server.connect();
    try {
      while (performance.now() < end) {
        const account = 1 + Math.floor(Math.random() * 100_000);
        const delta = Math.floor(Math.random() * 100);
        await db.script(
          `BEGIN; UPDATE account SET balance = balance + ${delta} WHERE id = ${account}; INSERT INTO history (account, delta) VALUES (${account}, ${delta}); COMMIT`,
        );
        commits++;
      }
    } finally {
      await db.close();
    }
  }
  await Promise.all([
    ...Array.from({ length: options.markers }, (_, index) => mark(index + 1)),
    ...Array.from({ length: name === 'load' ? options.sessions : 0 }, load),
  ]);
  const walBytes = Number((await world.flushed()) - lsnBefore);
  return {
    name,
    waitsMs,
    commits,
    walBytes,
    objects: (await countObjects(world)) - objectsBefore,
    seconds: options.seconds,
  };
}

async function countObjects(world: ShippingWorld): Promise<number> {
  let count = 0;
  for (const region of Object.values(world.regions))
    for (const folder of ['wal/', 'segments/']) for await (const _ of region.list(folder)) count++;
  return count;
}

function summarise({ name, waitsMs, commits, walBytes, objects, seconds }: Phase): Row {
  const ms = (share: number) => Math.round(quantile(waitsMs, share));
  return {
    phase: name,
    samples: waitsMs.length,
    'p50 ms': ms(0.5),
    'p95 ms': ms(0.95),
    'p99 ms': ms(0.99),
    'p99.9 ms': ms(0.999),
    'max ms': ms(1),
    'commits/s': Math.round((commits + waitsMs.length) / seconds),
    'WAL MiB/s': Math.round((walBytes / seconds / 2 ** 20) * 10) / 10,
    'objects left': objects,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      sessions: { type: 'string', default: '8' },
      markers: { type: 'string', default: '8' },
      interval: { type: 'string', default: '100' },
    },
  });
  const { rows, facts } = await runShippingBench({
    seconds: Number(values.seconds),
    sessions: Number(values.sessions),
    markers: Number(values.markers),
    interval: Number(values.interval),
  });
  report('shipping', rows, facts);
}
