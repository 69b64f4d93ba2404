/**
 * How long does an update hold up a fleet? Every tenant's database is brought forward by the fleet's own runner, against a loop of
 * `psql -f` with the same statements, one database after the other, on the same server (half of them before, half after).
 *
 *   node bench/fleet-migration.ts [--tenants 100] [--concurrency 4] [--standby]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findBinaries } from '#src/clusters/index.ts';
import { createDatabaseAdmin, type MigrationFolders } from '#src/databases/index.ts';
import { createFleetRuns } from '#src/fleet/index.ts';
import { newId, randomName, silentLog, systemClock } from '#src/kernel/index.ts';
import { createPool, newPassword } from '#src/postgres/index.ts';
import { type Installation, newDataFolder, root, startInstallation } from './installation.ts';
import { report, round } from './report.ts';
import { controlTarget, type Target } from './server.ts';

interface Housed {
  readonly name: string;
  readonly password: string;
}

/** What an ordinary release does: a column, an index, a few rows. */
const second = (by: string) => `
ALTER TABLE item ADD COLUMN ${by}_kind text NOT NULL DEFAULT 'plain';
CREATE INDEX item_${by}_kind ON item (${by}_kind);
UPDATE item SET ${by}_kind = 'old' WHERE id < 50;
INSERT INTO item (id, title) VALUES (1000, '${by}');
`;
const first = `-- ${randomName(20)}
CREATE TABLE item (id int, title text NOT NULL);
INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 100) n;`;

async function run({ tenants, concurrency, standby }: { tenants: number; concurrency: number; standby: boolean }) {
  const dataDir = newDataFolder();
  const folder = mkdtempSync(join(tmpdir(), 'freehold-bench-fleet-'));
  let installation: Installation | undefined;
  try {
    const without = { FREEHOLD_STANDBY: 'off', FREEHOLD_BACKUPS: 'off' };
    installation = await startInstallation({ FREEHOLD_PREPARED_DATABASES: '0', ...(standby ? {} : without) }, dataDir);
    if (standby) await installation.betweenJobs();
    const target = controlTarget(dataDir);
    const pool = createPool(target, { max: concurrency + 4, applicationName: 'bench' });
    const admin = createDatabaseAdmin({ pool, target, log: silentLog });
    const housed: Housed[] = [];
    const releases = [first, second('fleet')].map((_, index, files): MigrationFolders => {
      const app = join(folder, `release-${index}`);
      mkdirSync(app);
      for (const [at, sql] of files.slice(0, index + 1).entries()) writeFileSync(join(app, `000${at + 1}_x.sql`), sql);
      return { platform: join(root, 'migrations/tenant'), app };
    });
    const { template } = await admin.ensureTemplate('bench', releases[0]!);
    for (let index = 0; index < tenants; index++) {
      const tenant = { name: admin.newDatabaseName(), password: newPassword() };
      await admin.createDatabase(tenant.name, { template });
      await admin.openDatabase(tenant.name, { appPassword: tenant.password, platformPassword: newPassword() });
      await pool.query(
        `INSERT INTO tenants (tenant_id, name, title, state, edition, app, admin_email, database_name, created_at, state_changed_at)
         VALUES ($1, $2, $2, 'active', 'standard', 'bench', 'admin@bench.example', $3, now(), now())`,
        [newId('ten'), `bench-${index}`, tenant.name],
      );
      housed.push(tenant);
    }
    await pool.query('CHECKPOINT').catch(() => {});

    const file = join(folder, 'second.sql');
    writeFileSync(file, second('psql'));
    const { binDir } = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
    const half = Math.floor(tenants / 2);
    const before = runPsql(join(binDir, 'psql'), target, housed.slice(0, half), file);
    const fleet = createFleetRuns({
      db: pool,
      databases: admin,
      folders: new Map([['bench', releases[1]!]]),
      clock: systemClock,
      log: silentLog,
      concurrency,
    });
    const startedMs = performance.now();
    await fleet.start({ requestedBy: 'bench' });
    await fleet.idle();
    const fleetMs = performance.now() - startedMs;
    const ended = (await fleet.latest())!;
    if (ended.counts.done !== tenants) throw new Error(JSON.stringify(ended));
    const after = runPsql(join(binDir, 'psql'), target, housed.slice(half), file);
    await pool.stop();
    const psqlMs = before + after;
    const row = (who: string, ms: number) => ({
      '': who,
      seconds: round(ms / 1_000, 1),
      'tenants per second': round((tenants / ms) * 1_000, 1),
      ratio: round(ms / psqlMs),
    });
    const rows = [row('psql -f, one after the other', psqlMs), row('migration of the fleet', fleetMs)];
    // Before the server writes everything to disk and ends, which takes longer than all of it.
    report('fleet-migration', rows, { options: { tenants, concurrency, standby }, before, after });
  } finally {
    await installation?.stop();
    for (const path of [dataDir, folder]) rmSync(path, { recursive: true, force: true });
  }
}

function runPsql(psql: string, target: Target, housed: readonly Housed[], file: string): number {
  const startedMs = performance.now();
  for (const { name, password } of housed)
    execFileSync(psql, ['-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-h', target.host, '-U', name, '-f', file, name], {
      env: {
        PGPASSWORD: password,
        PGPORT: String(target.port),
        // Both give in to what the installation says about the disk in the same way.
        PGOPTIONS: '-c default_transaction_read_only=off -c synchronous_commit=local',
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  return performance.now() - startedMs;
}

const { values } = parseArgs({
  options: {
    tenants: { type: 'string', default: '100' },
    concurrency: { type: 'string', default: '4' },
    standby: { type: 'boolean', default: false },
  },
});
await run({
  tenants: Number(values.tenants),
  concurrency: Number(values.concurrency),
  standby: values.standby,
});
