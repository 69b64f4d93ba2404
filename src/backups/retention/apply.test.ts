import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { migrate } from '#src/databases/index.ts';
import { type Connection, openConnection } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../../test/support/cluster.ts';
import { buildCatalogue } from '../catalogue/build.ts';
import { at, backupId, clusterId, database, tenantId } from '../catalogue/catalogue.fixture.ts';
import { createCatalogueReader } from '../catalogue/reader.ts';
import { keys, openSealedRegion } from '../catalogue/sealed-region.fixture.ts';
import { applyRetention, type RetentionFacts } from './apply.ts';
import { listRuns } from './retention-world.fixture.ts';
import { createRetentionJournal, findLastHorizon, loadOrphans } from './sql.ts';

const day = 86_400;
const policy = { days: 5, fullEveryDays: 2 };
const noFacts: RetentionFacts = { inProgress: [], holds: [] };
const clock = { now: () => at(10 * day).getTime(), monotonicMs: () => 0 };

let cluster: TestCluster;
let db: Connection;
let folder: string;
let template: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'freehold-retention-'));
  cluster = await startTestCluster();
  await migrate(cluster.control, {
    schema: 'public',
    folder: new URL('../../../migrations/control/', import.meta.url),
  });
  db = await openConnection(cluster.control, { applicationName: 'test' });
  template = join(folder, 'template');
  const world = await openSealedRegion(template);
  for (let index = 0; index < 10; index++) {
    const object = `data/${tenantId('a')}/${backupId(`d${index}`)}_20000`;
    const databases = [database('t_a', 20_000, tenantId('a'), { object })];
    const base = { id: `d${index}`, start: index * 4 + 1, stop: index * 4 + 2, finishedAt: index * day, databases };
    await world.putBase(base, at(index * day));
    await world.putPiece({ kind: 'segment', start: index * 4, end: index * 4 + 4 }, at(index * day + day / 2));
  }
  await world.put(`data/${tenantId('a')}/${backupId('x')}_1`, Buffer.of(1), at(0));
});
after(async () => {
  await db?.close();
  await cluster?.stop();
  await rm(folder, { recursive: true });
});

let copies = 0;
async function openWorld() {
  const root = join(folder, `copy${copies++}`);
  await cp(template, root, { recursive: true, preserveTimestamps: true });
  const { region } = await openSealedRegion(root);
  const catalogue = () => buildCatalogue({ region, reader: createCatalogueReader(region, keys) });
  const names = async () => (await Array.fromAsync(region.list(''))).map(({ name }) => name);
  return { root, region, catalogue, names };
}
const journal = () => createRetentionJournal(db, () => new Date(clock.now()));
const readFacts = async () => noFacts;
const notedNames = async () =>
  (await db.query<{ names: string[] }>('SELECT names FROM retention_removals')).flatMap(({ names }) => names);

test('a dry run changes nothing; a run removes what was decided and writes it down; another finds nothing', async () => {
  const { region, catalogue, names } = await openWorld();
  const all = await names();
  const options = { region, policy, readFacts, journal: journal(), clock };
  const dry = await applyRetention({ ...options, catalogue: await catalogue(), dryRun: true });
  assert.deepEqual([await names(), await listRuns(db)], [all, []]);
  assert.equal(dry.decision.remove.length, 20);

  const result = await applyRetention({ ...options, catalogue: await catalogue() });
  assert.deepEqual([result.removedObjects, result.spared], [20, []]);
  assert.deepEqual(
    await names(),
    all.filter((name) => !dry.decision.remove.includes(name)),
  );
  assert.deepEqual(await notedNames(), dry.decision.remove);
  const [run] = await listRuns(db);
  assert.deepEqual([run!.removedObjects, run!.removedBytes > 0, run!.finishedAt], [20, true, at(10 * day)]);
  assert.deepEqual(await findLastHorizon(db, region.region, policy.days), at(5 * day));
  const orphan = `data/${tenantId('a')}/${backupId('x')}_1`;
  assert.deepEqual([...(await loadOrphans(db, region.region))], [[orphan, at(10 * day)]]);

  assert.equal((await applyRetention({ ...options, catalogue: await catalogue() })).removedObjects, 0);
  // Known for long by now, the orphan goes too.
  const later = { ...clock, now: () => at(13 * day).getTime() };
  const known = async () => ({ ...noFacts, orphanSince: await loadOrphans(db, region.region) });
  const last = await applyRetention({ ...options, clock: later, readFacts: known, catalogue: await catalogue() });
  assert.ok(last.decision.remove.includes(orphan));
  assert.ok(!(await names()).includes(orphan));
});

test('what somebody needs by now is spared, and what is not what was listed any more', async () => {
  const { root, region, catalogue, names } = await openWorld();
  let asked = 0;
  const hold = { kind: 'backup', backupId: backupId('d2'), reason: 'a restore runs' } as const;
  const changing = async () => ({ ...noFacts, holds: asked++ < 2 ? [] : [hold] });
  const listed = await catalogue();
  const young = `data/${tenantId('a')}/${backupId('d1')}_20000`;
  await utimes(join(root, young), at(9 * day), at(9 * day));
  const result = await applyRetention({
    region,
    policy,
    readFacts: changing,
    journal: journal(),
    clock,
    catalogue: listed,
  });
  const left = new Set(await names());
  assert.ok(left.has(`base/${clusterId}/${backupId('d2')}/manifest`) && left.has(young));
  assert.ok(!left.has(`base/${clusterId}/${backupId('d0')}/manifest`));
  assert.equal(result.removedObjects + result.spared.length, 20);
  // The backup, its two objects, and three days of WAL; and the one that was written anew.
  assert.equal(result.spared.length, 3 + 3 + 1);
});

test('a region that goes away ends the run, and the next one goes on', async () => {
  const { region, catalogue, names } = await openWorld();
  const stop = new AbortController();
  const flaky = {
    ...region,
    remove: async (name: string) => {
      await region.remove(name);
      stop.abort(new Error('away'));
    },
  };
  const options = { policy, readFacts, journal: journal(), clock };
  await assert.rejects(
    applyRetention({ ...options, region: flaky, catalogue: await catalogue(), signal: stop.signal }),
    /away/,
  );
  assert.equal((await listRuns(db))[0]!.finishedAt, undefined);
  await applyRetention({ ...options, region, catalogue: await catalogue() });
  assert.equal((await names()).filter((name) => name.endsWith('/manifest')).length, 5);
});

const script = `
  import { text } from 'node:stream/consumers';
  import { armFailpoints } from '#src/kernel/index.ts';
  import { openConnection } from '#src/postgres/index.ts';
  import { buildCatalogue } from './src/backups/catalogue/build.ts';
  import { createCatalogueReader } from './src/backups/catalogue/reader.ts';
  import { keys, openSealedRegion } from './src/backups/catalogue/sealed-region.fixture.ts';
  import { applyRetention } from './src/backups/retention/apply.ts';
  import { createRetentionJournal } from './src/backups/retention/sql.ts';
  const { root, control, point, now, policy } = JSON.parse(await text(process.stdin));
  const { region } = await openSealedRegion(root);
  const db = await openConnection(control, { applicationName: 'test' });
  armFailpoints(point);
  await applyRetention({
    region, policy, catalogue: await buildCatalogue({ region, reader: createCatalogueReader(region, keys) }),
    readFacts: async () => ({ inProgress: [], holds: [] }), journal: createRetentionJournal(db, () => new Date(now)),
    clock: { now: () => now, monotonicMs: () => 0 },
  });
`;

async function applyAndDie(root: string, point: string): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: join(import.meta.dirname, '../../..'),
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  child.stdin.end(JSON.stringify({ root, control: cluster.control, point: `${point}`, now: clock.now(), policy }));
  const [problems, [, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  assert.equal(signal, 'SIGKILL', `the child passed ${point} alive: ${problems}`);
}

for (const point of [
  'retention.begun=kill',
  'retention.noted=kill',
  'retention.removed=kill',
  'retention.removed=kill@7',
  'retention.removed=kill@20',
  'retention.finished=kill',
])
  test(`killed at ${point}: nothing more is gone than is written down, and the next run completes it`, async () => {
    const { root, region, catalogue, names } = await openWorld();
    const all = await names();
    await applyAndDie(root, point);
    const noted = new Set(await notedNames());
    const left = await names();
    for (const name of all) assert.ok(left.includes(name) || noted.has(name), `${name} went and is not written down`);
    const killed = await catalogue();
    for (const backup of killed.clusters.get(clusterId)!.backups)
      assert.notEqual(backup.state, 'incomplete', 'a backup ceases to be one before anything of it goes');

    await applyRetention({ region, policy, readFacts, journal: journal(), clock, catalogue: killed });
    const known = async () => ({
      ...noFacts,
      orphanSince: new Map(killed.data.keys().map((name) => [name, at(7 * day)])),
    });
    const once = await applyRetention({
      region,
      policy,
      readFacts: known,
      journal: journal(),
      clock,
      catalogue: await catalogue(),
    });
    assert.deepEqual(once.spared, []);
    const { data, clusters } = await catalogue();
    const { backups, pieces } = clusters.get(clusterId)!;
    assert.deepEqual(
      [backups.filter(({ state }) => state === 'complete').length, pieces.get(1)!.length, data.size],
      [5, 5, 5],
    );
  });
