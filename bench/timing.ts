/**
 * Can a stranger tell by time what exists? For every door of src/identity/doors.fixture.ts: thousands of acts for what is known and what is not, in random order, on a real
 * PostgreSQL; Welch's t over the samples below the 90th percentile of both together, so that pauses of the machine do not drown a difference (as dudect does).
 * Goal: |t| < 4.5 at every door.
 *
 *   node bench/timing.ts [--samples 10000] [--door NAME] [--seed N]
 */
import { parseArgs } from 'node:util';
import { createDoors, type Door } from '../src/identity/doors.fixture.ts';
import { mean, randomBits, samplePairs } from '../src/identity/sampling.fixture.ts';
import { startTwoTenants } from '../src/identity/two-tenants.fixture.ts';
import { median, quantile, type Row, report, round } from './report.ts';

const goal = 4.5;
const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '10000' },
    door: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const samples = Number(values.samples);
const seed = Number(values.seed);
console.error(`seed ${seed}, ${samples} samples per door`);

const two = await startTwoTenants();
try {
  const { doors, reset } = await createDoors(two);
  const rows: Row[] = [];
  for (const door of doors) {
    if (values.door !== undefined && door.name !== values.door) continue;
    rows.push(await measure(door, reset));
    console.error(rows.at(-1));
  }
  report(values.door === undefined ? 'timing' : `timing-${values.door.replace(/\W+/g, '-')}`, rows, {
    seed,
    samples,
    goal,
  });
  process.exitCode = rows.every(({ t }) => Math.abs(t as number) < goal) ? 0 : 1;
} finally {
  await two.stop();
}

async function measure({ name, act }: Door, reset: () => Promise<void>): Promise<Row> {
  const times = await samplePairs({ act }, Math.ceil(samples / 2), { reset, coin: randomBits(seed) });
  const limit = quantile([...times.known, ...times.unknown], 0.9);
  const [known, unknown] = [times.known, times.unknown].map((all) => all.filter((ms) => ms <= limit)) as [
    number[],
    number[],
  ];
  return {
    door: name,
    samples: times.known.length + times.unknown.length,
    'known ms': round(median(known), 3),
    'unknown ms': round(median(unknown), 3),
    'difference µs': round((mean(known) - mean(unknown)) * 1_000, 1),
    t: round(welch(known, unknown)),
  };
}

/** Difference of the means in standard errors, of samples with different variances. */
function welch(a: readonly number[], b: readonly number[]): number {
  const error = (list: readonly number[]) => {
    const middle = mean(list);
    return list.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (list.length - 1) / list.length;
  };
  return (mean(a) - mean(b)) / Math.sqrt(error(a) + error(b));
}
