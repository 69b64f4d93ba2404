/**
 * Runs groups of probes and writes what came of it as one line of JSON. A process of its own, because a product in this process cannot be
 * stopped, and because a planted leak is tried by running the suite of the changed copy.
 *
 *   node test/isolation/run-probes.ts --product one-process|up --groups a,b [--cluster JSON --log FILE] [--stop-at-first]
 */
import { parseArgs } from 'node:util';
import type { TestCluster } from '../support/cluster.ts';
import { partGroups, worldGroups, worldSizeFor } from './groups/index.ts';
import type { Product } from './product/types.ts';
import { Report } from './report.ts';
import { createWorld } from './world.ts';

export interface Outcome {
  readonly probes: number;
  readonly byGroup: Readonly<Record<string, number>>;
  readonly findings: readonly { readonly group: string; readonly probe: string; readonly detail: string }[];
  /** Why the probes could not be made, or not all. */
  readonly error?: string;
  readonly milliseconds: Readonly<Record<string, number>>;
  /** Processor time of this process. */
  readonly cpuMilliseconds: number;
}

const { values } = parseArgs({
  options: {
    product: { type: 'string', default: 'one-process' },
    groups: { type: 'string', default: '' },
    cluster: { type: 'string', default: '' },
    log: { type: 'string', default: '' },
    'stop-at-first': { type: 'boolean', default: false },
  },
});

const report = new Report(values['stop-at-first']);
const milliseconds: Record<string, number> = {};
let product: Product | undefined;
let error: string | undefined;
try {
  await run();
} catch (thrown) {
  error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
await product?.stop();
const outcome: Outcome = {
  probes: report.probes,
  byGroup: Object.fromEntries(report.byGroup),
  findings: report.findings,
  ...(error ? { error } : {}),
  milliseconds,
  cpuMilliseconds: Math.round((process.cpuUsage().user + process.cpuUsage().system) / 1000),
};
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  try {
    return await work();
  } finally {
    milliseconds[what] = Math.round(performance.now() - startedAt);
  }
}

async function run(): Promise<void> {
  const groups = values.groups === 'all' ? Object.keys({ ...partGroups, ...worldGroups }) : values.groups.split(',');
  const unknown = groups.find((group) => !(group in partGroups) && !(group in worldGroups));
  if (unknown) throw new Error(`there is no group ${unknown}`);
  for (const group of groups.filter((one) => one in partGroups)) {
    report.begin(group);
    await timed(group, () => partGroups[group]!(report, testCluster()));
  }
  // In the order of the table, whatever was asked for.
  const wanted = Object.keys(worldGroups).filter((group) => groups.includes(group));
  if (wanted.length === 0) return;
  const started = await timed('product', startProduct);
  product = started;
  report.begin('world');
  const world = await timed('world', () => createWorld(started, report, worldSizeFor(wanted)));
  for (const group of wanted) {
    report.begin(group);
    await timed(group, () => worldGroups[group]!(world));
  }
  await world.stop();
}

function testCluster(): TestCluster {
  const { control, superuser } = JSON.parse(values.cluster) as Pick<TestCluster, 'control' | 'superuser'>;
  const { host: socketDir, port, password: controlPassword } = control;
  return { socketDir, port, controlPassword, control, superuser, announcement: '', stop: async () => {} };
}

async function startProduct(): Promise<Product> {
  if (values.product === 'up') return (await import('./product/up.ts')).startUp();
  const { startOneProcess } = await import('./product/one-process.ts');
  return startOneProcess({ cluster: testCluster(), logFile: values.log });
}
