import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { createRetentionHolds, holdBaseBackup } from '#src/backups/index.ts';
import { silentLog, waitFor } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { at, backupId, clusterId, manifestOf } from '../backups/catalogue/catalogue.fixture.ts';
import { keys } from '../backups/catalogue/sealed-region.fixture.ts';
import { clock, manifestOfDay, startRetentionWorld } from '../backups/retention/retention-world.fixture.ts';
import { createJobs, type Jobs } from './jobs.ts';
import { createRetention, type RetentionServices } from './retention.ts';
import { Shutdown } from './shutdown.ts';

let world: Awaited<ReturnType<typeof startRetentionWorld>>;
before(async () => {
  world = await startRetentionWorld();
});
after(() => world?.stop());

let regions: RegionStore[];
let roots: string[];
let jobs: Jobs;
let retention: RetentionServices;
let shutdown: Shutdown;
const holds = createRetentionHolds();
/** Waited for by removals in the first region. */
let gate: { readonly reached: () => void; readonly open: Promise<void> } | undefined;
beforeEach(async () => {
  shutdown = new Shutdown(silentLog);
  jobs = createJobs({ db: world.db, clock, log: silentLog, shutdown });
  const [north, south] = [await world.openRegion(), await world.openRegion()];
  roots = [north.root, south.root];
  // The clock of the fixture stands: a success of the test before would be as young as a failure of this one.
  await world.db.query('TRUNCATE jobs');
  // Two regions of one content; the second one only calls itself otherwise.
  const slow: RegionStore = {
    ...north.region,
    async remove(name) {
      gate?.reached();
      await gate?.open;
      await north.region.remove(name);
    },
  };
  regions = [slow, { ...south.region, region: 'south' }];
  await world.db.query("INSERT INTO regions (region, set_up_at) VALUES ('south', $1)", [at(100 * 86_400)]);
  const shipping = () =>
    ({
      regions: [
        { region: 'north', lacking: [] },
        { region: 'south', lacking: [] },
      ],
    }) as never;
  retention = createRetention({
    clusterId,
    regions,
    shipping,
    days: 5,
    pool: world.db,
    keys: { ...keys, destroyedOwners: async () => [] },
    holds,
    findUnneededFiles: async () => [],
    jobs,
    clock,
    log: silentLog,
    shutdown,
  });
  await retention.schedule();
});
afterEach(async () => {
  await shutdown.run();
});

async function run(dryRun: boolean) {
  retention.start({ dryRun });
  return ended(dryRun);
}
async function ended(dryRun: boolean) {
  return waitFor(
    'the run to end',
    () => {
      const latest = retention.latest({ dryRun });
      return latest?.state === 'ended' && latest;
    },
    { deadlineMs: 60_000 },
  );
}
const isThere = async (region: RegionStore, day: number) => (await region.stat(manifestOfDay(day))) !== undefined;
const audited = async () =>
  (await world.db.query<{ n: number }>("SELECT count(*)::int AS n FROM audit_events WHERE name = 'backup.pruned'"))[0]!
    .n;

test('by command: first what would go, then it goes, in every region; jobs, health and figures tell of it', async () => {
  const dry = await run(true);
  assert.deepEqual(
    dry.regions.map(({ region, state, horizon, remove }) => [
      region,
      state,
      horizon,
      remove?.map(({ kind }) => kind).sort(),
    ]),
    ['north', 'south'].map((region) => [
      region,
      'done',
      at(5 * 86_400).toISOString(),
      ['WAL', 'base backup', 'database'],
    ]),
  );
  assert.ok(await isThere(regions[0]!, 0));
  const before = await audited();
  const real = await run(false);
  for (const [index, view] of real.regions.entries()) {
    assert.equal(view.state, 'done');
    assert.equal(
      view.removedObjects,
      dry.regions[index]!.remove!.reduce((sum, { objects }) => sum + objects, 0),
    );
    assert.deepEqual([await isThere(regions[index]!, 4), await isThere(regions[index]!, 5)], [false, true]);
  }
  assert.equal(await audited(), before + 2);
  assert.deepEqual(
    (await jobs.list()).map(({ name, state }) => [name, state]),
    [
      ['retention of region north', 'succeeded'],
      ['retention of region south', 'succeeded'],
    ],
  );
  const health = await retention.health();
  assert.deepEqual(
    health.map(({ region, removedObjects }) => [region, removedObjects]),
    real.regions.map(({ region, removedObjects }) => [region, removedObjects]),
  );
  const figure = retention
    .figures()
    .find(({ name, labels }) => name.endsWith('removed_bytes_total') && labels.region === 'south');
  assert.equal(figure!.value, health[1]!.allRemovedBytes);
});

test('a region that is away keeps the other from nothing; its job has failed, and does the work when it is back', async () => {
  await rename(roots[0]!, `${roots[0]}-away`);
  const { regions: views } = await run(false);
  assert.deepEqual(
    views.map(({ state, error }) => [state, error?.code]),
    [
      ['failed', 'FH_REGION_UNAVAILABLE'],
      ['done', undefined],
    ],
  );
  assert.ok(!(await isThere(regions[1]!, 0)));
  const [job] = await jobs.list();
  assert.deepEqual([job!.state, job!.error?.code], ['failed', 'FH_REGION_UNAVAILABLE']);
  await rename(`${roots[0]}-away`, roots[0]!);
  assert.equal((await run(false)).regions[0]!.state, 'done');
  assert.ok(!(await isThere(regions[0]!, 0)));
});

test('a command while the job runs waits for that run, and a dry run goes on beside it', async () => {
  const [reached, open] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  gate = { reached: reached.resolve, open: open.promise };
  const job = jobs.runNow('retention of region north');
  await reached.promise;
  const begun = retention.start({ dryRun: false });
  assert.deepEqual(retention.start({ dryRun: false }).startedAt, begun.startedAt);
  assert.equal((await run(true)).regions[0]!.state, 'done');
  const [row] = await world.db.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM retention_runs WHERE region = 'north' AND finished_at IS NULL",
  );
  assert.equal(row!.n, 1, 'one run, not two');
  assert.ok(await isThere(regions[0]!, 0));
  gate = undefined;
  open.resolve();
  await job;
  assert.equal((await ended(false)).regions[0]!.state, 'done');
  assert.ok(!(await isThere(regions[0]!, 0)));
});

test('a base backup is compared with none that is written down to go, and what it is compared with is held', async () => {
  await run(false);
  const manifest = (day: number) =>
    manifestOf({ id: `d${day}`, start: day * 4 + 1, stop: day * 4 + 2, finishedAt: day });
  const watch = holds.watch();
  const under = { clusterId, backupId: backupId('new'), holds, db: world.db };
  const held = await holdBaseBackup({ ...under, findPrevious: async () => [manifest(4), manifest(6), manifest(7)] });
  assert.equal(held.previous?.backupId, backupId('d6'));
  assert.deepEqual(
    watch.held().holds.map((hold) => hold.kind === 'backup' && hold.backupId),
    [backupId('d4'), backupId('d6')],
  );
  held.release();
  const none = await holdBaseBackup({ ...under, findPrevious: async () => [manifest(0)] });
  assert.equal(none.previous, undefined);
  none.release();
  watch.end();
  const now = holds.watch();
  assert.deepEqual(now.held(), { holds: [], inProgress: [] });
  now.end();
  await assert.rejects(
    holdBaseBackup({ ...under, findPrevious: async () => Promise.reject(new Error('away')) }),
    /away/,
  );
});
