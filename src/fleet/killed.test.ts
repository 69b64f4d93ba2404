/** Kills the process that migrates a fleet, again and again, at random moments. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startChance } from '../../test/faults/support/random.ts';
import { openTestFleet, type TestFleet } from './fleet.fixture.ts';
import { hashCatalogue, readCatalogue } from './index.ts';

const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
const [size, kills] = isSlow ? [500, 100] : [20, 5];
const chance = startChance();
const root = join(import.meta.dirname, '../..');

let fleet: TestFleet;
before(async () => {
  fleet = await openTestFleet({
    own: true,
    tenants: Array.from({ length: size }, (_, index) => `tenant-${index}`),
    // Several statements in one file, and enough time between them to be killed there.
    second: `ALTER TABLE item ADD COLUMN kind text NOT NULL DEFAULT 'plain';
      SELECT pg_sleep(0.02);
      ALTER TABLE item ALTER COLUMN id SET NOT NULL;
      CREATE INDEX item_kind ON item (kind);`,
  });
});
after(() => fleet?.stop());

/** A control that starts, migrates and ends; killed after so many milliseconds of its work, unless it is through before. */
async function runControl(killAfterMs?: number): Promise<'killed' | 'through'> {
  const program = `
    const { silentLog, systemClock } = await import('#src/kernel/index.ts');
    const { createPool } = await import('#src/postgres/index.ts');
    const { createDatabaseAdmin } = await import('#src/databases/index.ts');
    const { createFleetRuns } = await import('#src/fleet/index.ts');
    const { target, release } = JSON.parse(process.argv[1]);
    const pool = createPool(target, { max: 8, applicationName: 'to be killed' });
    const databases = createDatabaseAdmin({ pool, target, log: silentLog });
    const folders = new Map([['sample', release]]);
    const fleet = createFleetRuns({ db: pool, databases, folders, clock: systemClock, log: silentLog, concurrency: 3 });
    process.stdout.write('ready');
    await fleet.resume();
    await fleet.idle();
    process.exit(0);`;
  const child = spawn(
    process.execPath,
    ['--input-type=module', '--eval', program, JSON.stringify(fleet.announcement)],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  const [code, signal] = await exited;
  clearTimeout(timer);
  if (signal === 'SIGKILL') return 'killed';
  assert.equal(code, 0);
  return 'through';
}

async function hashes(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name, databaseName } of fleet.tenants)
    found.set(name, hashCatalogue(await fleet.admin.readCatalogues(databaseName, readCatalogue)));
  return found;
}

test(`${kills} kills over ${size} tenants: nobody is between two versions, and the last start brings it to the end`, async (context) => {
  context.diagnostic(`seed ${chance.seed}`);
  const shuffled = chance.shuffle([...fleet.tenants]);
  const poisoned = shuffled.slice(0, Math.max(1, Math.round(size / 100)));
  for (const subject of poisoned) await fleet.inside(subject, 'INSERT INTO app.item (id) VALUES (NULL)');
  const before = await hashes();
  const [old] = new Set(before.values());
  assert.equal(new Set(before.values()).size, 1);
  const probe = await fleet.add('probe');
  await fleet.admin.migrateDatabase(probe.databaseName, fleet.releases[1]);
  const newer = (await hashes()).get('probe')!;

  // Early and late in what one start could do.
  let killed = 0;
  let between = 0;
  for (let round = 0; round < kills; round++) {
    const afterMs = 20 + chance.below((size * 60) / kills);
    if ((await runControl(afterMs)) === 'killed') killed++;
    const now = [...(await hashes()).values()];
    between += now.filter((hash) => hash !== old && hash !== newer).length;
  }
  assert.equal(between, 0);
  assert.ok(killed > 0);
  context.diagnostic(`${killed} kills met work under way`);

  assert.equal(await runControl(), 'through');
  const runs = fleet.open();
  const run = (await runs.latest())!;
  assert.equal(run.state, 'done');
  assert.deepEqual(run.counts, {
    waiting: 0,
    running: 0,
    done: size - poisoned.length,
    failed: poisoned.length,
    skipped: 0,
  });
  const failed = await runs.subjects(run.runId, { states: ['failed'] });
  assert.deepEqual(failed.map(({ name }) => name).sort(), poisoned.map(({ name }) => name).sort());
  for (const { error } of failed) assert.match(error!.text, /0002_second\.sql: 23502/);
  const end = await hashes();
  const bad = new Set(poisoned.map(({ name }) => name));
  for (const [name, hash] of end) assert.equal(hash, bad.has(name) ? old : newer, name);
  const roles = await fleet.pool.query("SELECT rolname FROM pg_roles WHERE rolname ~ '^t_.*_m$'");
  assert.deepEqual(roles, [], 'no login of a migration is left');
});
