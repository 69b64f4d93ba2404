/**
 * What does a tenant cost beyond its database? Creating one, until it can be signed into, against a bare CREATE DATABASE … TEMPLATE of the
 * same template on the same server, in turn: without prepared databases, and with them.
 *
 *   node bench/create.ts [--rounds 40] [--pool 12] [--app desk]
 */
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Client } from 'pg';
import { type CreatedTenant, type Installation, newDataFolder, startInstallation } from './installation.ts';
import { quantile, type Row, report, round } from './report.ts';
import { controlTarget, withServer } from './server.ts';

export interface CreateBenchOptions {
  /** Tenants and bare databases per series. */
  readonly rounds: number;
  /** Prepared databases per app in the second series; refilled before each burst of half as many. */
  readonly pool: number;
  readonly app: string;
}

interface Series {
  readonly tenants: CreatedTenant[];
  readonly bareMs: number[];
}

export async function runCreateBench(options: CreateBenchOptions) {
  const dataDir = newDataFolder();
  let installation: Installation | undefined;
  try {
    installation = await startInstallation({ FREEHOLD_PREPARED_DATABASES: '0' }, dataDir);
    await installation.betweenJobs();
    // Makes the template, and shows the compiler what is hot.
    for (let index = 0; index < 5; index++) await installation.createTenant(`warm-${index}`, options.app);
    const without = await runWithoutPool(installation, options);
    await installation.stop();
    installation = await startInstallation({ FREEHOLD_PREPARED_DATABASES: String(options.pool) }, dataDir);
    await installation.betweenJobs();
    const withPool = await runWithPool(installation, options);
    return {
      rows: summarise(without, withPool),
      facts: { options, steps: stepsOf(without, withPool), without, withPool },
    };
  } finally {
    await installation?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function runWithoutPool(installation: Installation, { rounds, app }: CreateBenchOptions): Promise<Series> {
  const series: Series = { tenants: [], bareMs: [] };
  await withServer(controlTarget(installation.dataDir), async (server) => {
    const template = await findTemplate(server);
    for (let index = 0; index < rounds; index++) {
      const makeTenant = async () => void series.tenants.push(await installation.createTenant(`plain-${index}`, app));
      const makeDatabase = async () => void series.bareMs.push(await makeBareDatabase(server, template));
      // ABBA: neither always goes first.
      for (const make of index % 2 ? [makeDatabase, makeTenant] : [makeTenant, makeDatabase]) await make();
    }
  });
  return series;
}

async function runWithPool(installation: Installation, { rounds, app, pool }: CreateBenchOptions): Promise<Series> {
  const series: Series = { tenants: [], bareMs: [] };
  const burst = Math.max(1, Math.floor(pool / 2));
  await withServer(controlTarget(installation.dataDir), async (server) => {
    const template = await findTemplate(server);
    while (series.tenants.length < rounds) {
      await poolIsFull(server, pool);
      for (let index = 0; index < burst && series.tenants.length < rounds; index++)
        series.tenants.push(await installation.createTenant(`pooled-${series.tenants.length}`, app));
      await poolIsFull(server, pool);
      for (let index = 0; index < burst && series.bareMs.length < rounds; index++)
        series.bareMs.push(await makeBareDatabase(server, template));
    }
  });
  return series;
}

/** The template of the only app of which a tenant was made. */
async function findTemplate(server: Client): Promise<string> {
  const { rows } = await server.query(
    `SELECT d.datname AS name FROM pg_database d JOIN pg_database t ON t.datname LIKE 't\\_%'
     WHERE d.datname LIKE 'tpl\\_%' ORDER BY d.oid LIMIT 1`,
  );
  return rows[0].name;
}

async function makeBareDatabase(server: Client, template: string): Promise<number> {
  const startedMs = performance.now();
  await server.query(`CREATE DATABASE bench_bare TEMPLATE "${template}"`);
  const ms = performance.now() - startedMs;
  await server.query('DROP DATABASE bench_bare');
  return ms;
}

async function poolIsFull(server: Client, pool: number): Promise<void> {
  for (;;) {
    const { rows } = await server.query(
      `SELECT count(*) FILTER (WHERE state = 'making') AS making, min(ready) AS least
       FROM prepared_databases, LATERAL (SELECT count(*) AS ready FROM prepared_databases p
         WHERE p.app = prepared_databases.app AND p.state = 'ready') counted`,
    );
    if (Number(rows[0].making) === 0 && Number(rows[0].least) >= pool) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function summarise(without: Series, withPool: Series): Row[] {
  const row = (series: string, values: readonly number[], bareMs: readonly number[]): Row => ({
    '': series,
    'p50 ms': round(quantile(values, 0.5), 1),
    'p90 ms': round(quantile(values, 0.9), 1),
    'p99 ms': round(quantile(values, 0.99), 1),
    'p50 ratio': round(quantile(values, 0.5) / quantile(bareMs, 0.5)),
  });
  const rows = (name: string, { tenants, bareMs }: Series): Row[] => [
    row(`${name}: CREATE DATABASE … TEMPLATE`, bareMs, bareMs),
    row(
      `${name}: tenant, as its operation says`,
      tenants.map((tenant) => tenant.insideMs),
      bareMs,
    ),
    row(
      `${name}: tenant, as the command hears`,
      tenants.map((tenant) => tenant.outsideMs),
      bareMs,
    ),
  ];
  return [...rows('no pool', without), ...rows('pool', withPool)];
}

/** Median of each step, in milliseconds. */
function stepsOf(without: Series, withPool: Series) {
  const medians = ({ tenants }: Series) =>
    Object.fromEntries(
      tenants[0]!.steps.map(({ name }, index) => [
        name,
        quantile(
          tenants.map((tenant) => tenant.steps[index]!.ms),
          0.5,
        ),
      ]),
    );
  return { without: medians(without), withPool: medians(withPool) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '40' },
      pool: { type: 'string', default: '12' },
      app: { type: 'string', default: 'desk' },
    },
  });
  const { rows, facts } = await runCreateBench({
    rounds: Number(values.rounds),
    pool: Number(values.pool),
    app: values.app,
  });
  report('create', rows, facts);
  console.log(facts.steps);
}
