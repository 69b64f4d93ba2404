/**
 * How long until a tenant is there, and how much of that is PostgreSQL's own? `node bench/create.ts [--rounds N]`
 * In turns on one server: bare `CREATE DATABASE … TEMPLATE` of the app's own template; a tenant without the pool of prepared databases; and, on an
 * installation beside it, a tenant from the pool, which has time to fill up again.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type CreatedTenant, type Installation, startInstallation } from './installation.ts';
import { median, quantile, report, round } from './report.ts';

const rounds = Number(process.argv[process.argv.indexOf('--rounds') + 1] || 20) || 20;
const poolSize = 3;

const without = await startInstallation({ FREEHOLD_PREPARED_DATABASES: '0', FREEHOLD_WORKERS: '1' });
const withPool = await startInstallation({ FREEHOLD_PREPARED_DATABASES: String(poolSize), FREEHOLD_WORKERS: '1' });
const bareMs: number[] = [];
const plain: CreatedTenant[] = [];
const pooled: CreatedTenant[] = [];
const client = new pg.Client({
  ...JSON.parse(readFileSync(join(without.dataDir, 'control/database.json'), 'utf8')),
  host: join(without.dataDir, 'run/pg'),
});
try {
  await client.connect();
  const {
    rows: [server],
  } = await client.query("SELECT current_setting('server_version') AS version");
  // The first of each kind makes the template and warms up what is lazy.
  await without.createTenant('warm-up', 'desk');
  await withPool.createTenant('warm-up', 'desk');
  const {
    rows: [template],
  } = await client.query(
    "SELECT datname FROM pg_database WHERE datname LIKE 'tpl\\_%' ORDER BY pg_database_size(oid) DESC LIMIT 1",
  );
  for (let round = 1; round <= rounds; round++) {
    const startedMs = performance.now();
    await client.query(`CREATE DATABASE bare_${round} TEMPLATE ${template.datname}`);
    bareMs.push(performance.now() - startedMs);
    plain.push(await without.createTenant(`plain-${round}`, 'desk'));
    await filled(withPool);
    pooled.push(await withPool.createTenant(`pooled-${round}`, 'desk'));
    process.stderr.write(`round ${round} of ${rounds}\r`);
  }
  for (let round = 1; round <= rounds; round++) await client.query(`DROP DATABASE bare_${round}`);
  const row = (name: string, values: readonly number[]) => ({
    '': name,
    'p50 ms': round(median(values), 1),
    'p99 ms': round(quantile(values, 0.99), 1),
    'ratio of p50': round(median(values) / median(bareMs)),
  });
  report(
    'create',
    [
      row('bare CREATE DATABASE … TEMPLATE', bareMs),
      row(
        'tenant, no pool, as the operation says',
        plain.map((tenant) => tenant.insideMs),
      ),
      row(
        'tenant, no pool, over the command socket',
        plain.map((tenant) => tenant.outsideMs),
      ),
      row(
        'tenant from the pool, as the operation says',
        pooled.map((tenant) => tenant.insideMs),
      ),
      row(
        'tenant from the pool, over the command socket',
        pooled.map((tenant) => tenant.outsideMs),
      ),
    ],
    {
      rounds,
      peer: `PostgreSQL ${server.version}, same server, same template`,
      stepsMs: { plain: stepsOf(plain), pooled: stepsOf(pooled) },
    },
  );
} finally {
  await client.end();
  await without.stop();
  await withPool.stop();
}

/** Median of each step. */
function stepsOf(tenants: readonly CreatedTenant[]): Record<string, number> {
  const names = tenants[0]?.steps.map((step) => step.name) ?? [];
  return Object.fromEntries(
    names.map((name) => [
      name,
      round(median(tenants.map((tenant) => tenant.steps.find((step) => step.name === name)?.ms ?? 0)), 1),
    ]),
  );
}

async function filled(installation: Installation): Promise<void> {
  for (;;) {
    const { preparedDatabases } = await installation.command<{ preparedDatabases: { ready: number; target: number } }>(
      'GET',
      '/api/health',
    );
    if (preparedDatabases.ready >= preparedDatabases.target) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
