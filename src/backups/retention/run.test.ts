import assert from 'node:assert/strict';
import { mkdir, readdir, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { RegionStore } from '#src/objects/index.ts';
import { at, backupId, clusterId, database, lsn, tenantId } from '../catalogue/catalogue.fixture.ts';
import { openSealedRegion } from '../catalogue/sealed-region.fixture.ts';
import { loadBackups } from '../catalogue/sql.ts';
import { createRetentionHolds } from './holds.ts';
import { reportRetention } from './report.ts';
import {
  dataName,
  daySeconds,
  listRuns,
  manifestOfDay,
  owners,
  policy,
  startRetentionWorld,
} from './retention-world.fixture.ts';
import { runRetention } from './run.ts';
import { isCondemned, loadRetentionFacts, recordUnreferencedFiles } from './sql.ts';

let world: Awaited<ReturnType<typeof startRetentionWorld>>;
before(async () => {
  world = await startRetentionWorld();
});
after(() => world?.stop());

/** Of five days: manifests, shared… (the fixture has none), two databases and a segment each. */
const goneAfterFiveDays = [0, 1, 2, 3, 4].flatMap((day) => [
  manifestOfDay(day),
  ...owners.map((owner) => dataName(owner, day)),
]);

// First: what is recorded later than a run is no earlier than that run.
test('files go when no row has referred to them for all of the retention, each tenant by itself', async () => {
  const { region, put, names } = await world.openRegion();
  const [acme, globex] = [tenantId('a'), tenantId('b')];
  const file = (name: string) => [acme, globex].map((owner) => `files/${owner}/ab/${name}`);
  for (const name of [...file('old'), ...file('young'), ...file('again'), ...file('live')])
    await put(name, Buffer.of(1), at(0));
  const inVault = (owner: string, ...list: string[]) => list.map((name) => `${owner}/ab/${name}`);
  await recordUnreferencedFiles(world.db, acme, inVault(acme, 'old', 'again'), at(4 * daySeconds));
  await recordUnreferencedFiles(world.db, acme, inVault(acme, 'young'), at(6 * daySeconds));
  // Swept a second time, and once by a clock that was behind: the later time counts.
  await recordUnreferencedFiles(world.db, globex, inVault(globex, 'old'), at(1 * daySeconds));
  await recordUnreferencedFiles(world.db, globex, inVault(globex, 'old'), at(7 * daySeconds));
  await recordUnreferencedFiles(world.db, globex, inVault(globex, 'old'), at(2 * daySeconds));
  await recordUnreferencedFiles(world.db, globex, inVault(globex, 'again'), at(1 * daySeconds));
  let asked = 0;
  const findUnneededFiles = async (owner: string, list: readonly string[]) => {
    if (owner === globex) throw new Error('its database does not answer');
    // Uploaded again while the run goes on.
    return list.filter((name) => !name.endsWith('again') || asked++ === 0);
  };
  const { spared, unanswered, decision } = await runRetention(world.options(region, { findUnneededFiles }));
  assert.deepEqual([...unanswered.keys()], [globex]);
  assert.match(decision.warnings.join(), new RegExp(`which files of ${globex} are needed`));
  const left = new Set((await names()).filter((name) => name.startsWith('files/')));
  assert.deepEqual(
    [...file('old'), ...file('young'), ...file('again'), ...file('live')].filter((name) => !left.has(name)),
    [`files/${acme}/ab/old`],
  );
  assert.deepEqual(spared, [`files/${acme}/ab/again`]);
});

test('a dry run changes nothing and says who needs the rest; a run removes it, tells it, and keeps a copy of the catalogue', async () => {
  const { region, names } = await world.openRegion();
  const all = await names();
  const runs = (await listRuns(world.db)).length;
  const dry = await runRetention(world.options(region, { dryRun: true }));
  assert.deepEqual([await names(), (await listRuns(world.db)).length], [all, runs]);
  assert.deepEqual(await loadBackups(world.db, clusterId), []);
  const { remove, keep } = reportRetention(dry.catalogue, dry.decision);
  const count = (shares: typeof keep) => shares.reduce((sum, share) => sum + share.objects, 0);
  assert.equal(count(remove) + count(keep), all.length);
  assert.deepEqual(remove.map(({ kind }) => kind).sort(), ['WAL', 'base backup', 'database']);
  const reasons = keep.map(({ kind, neededBy }) => `${kind}: ${neededBy}`);
  assert.ok(
    reasons.includes(`base backup: backup ${backupId('d5')}: the first moment within retention is restored from it`),
  );
  assert.ok(reasons.includes(`WAL: replayed from backup ${backupId('d5')}`));

  const result = await runRetention(world.options(region));
  assert.deepEqual(result.decision, dry.decision);
  const left = new Set(await names());
  assert.deepEqual(all.filter((name) => !left.has(name)).sort(), [...dry.decision.remove].sort());
  for (const name of goneAfterFiveDays) assert.ok(!left.has(name), name);
  assert.equal((await loadBackups(world.db, clusterId)).length, 10, 'as it was before');
  const [fact] = await loadRetentionFacts(world.db);
  assert.deepEqual(
    [fact!.region, fact!.removedObjects, fact!.allRemovedBytes >= result.removedBytes, fact!.horizon],
    ['north', result.removedObjects, true, at(5 * daySeconds)],
  );
  assert.equal(await isCondemned(world.db, manifestOfDay(0)), true);
  assert.equal(await isCondemned(world.db, manifestOfDay(5)), false);

  const again = await runRetention(world.options(region));
  assert.equal(again.removedObjects, 0);
  assert.equal((await loadBackups(world.db, clusterId)).length, 5);
});

test('a hold that kept the horizon back for a while does not hold it back for ever', async () => {
  const { region } = await world.openRegion();
  await world.db.query("UPDATE regions SET region = 'held'");
  const renamed: RegionStore = { ...region, region: 'held' };
  const later = (day: number) => ({ now: () => at(day * daySeconds).getTime(), monotonicMs: () => 0 });
  await runRetention(world.options(renamed, { clock: later(10) }));
  const holds = createRetentionHolds();
  const release = holds.hold({ kind: 'since', since: at(0), reason: 'a court' });
  const held = await runRetention(world.options(renamed, { clock: later(11), holds }));
  assert.deepEqual([held.decision.horizon, held.removedObjects], [at(0), 0]);
  release();
  const free = await runRetention(world.options(renamed, { clock: later(12), holds }));
  assert.deepEqual(free.decision.horizon, at(7 * daySeconds));
  assert.doesNotMatch(free.decision.warnings.join(), /two days at a time/);
});

test('a restore of everything that goes on during the first run keeps nothing for longer than itself', async () => {
  const { region } = await world.openRegion();
  await world.db.query('UPDATE regions SET set_up_at = $1, region = $2', [at(6 * daySeconds), 'fresh']);
  const renamed: RegionStore = { ...region, region: 'fresh' };
  const later = (day: number) => ({ now: () => at(day * daySeconds).getTime(), monotonicMs: () => 0 });
  const holds = createRetentionHolds();
  const release = holds.hold({ kind: 'since', since: new Date(0), reason: 'a restore' });
  const held = await runRetention(world.options(renamed, { clock: later(6), holds }));
  assert.deepEqual(held.decision.horizon, new Date(0));
  release();
  // Five days are kept: the first run by itself would have come to the first day.
  const free = await runRetention(world.options(renamed, { clock: later(8), holds }));
  assert.deepEqual(free.decision.horizon, at(3 * daySeconds));
  assert.doesNotMatch(free.decision.warnings.join(), /two days at a time/);
});

test('a file whose tenant does not answer any more stays, and what comes after it goes', async () => {
  const { region, put, names } = await world.openRegion();
  const [acme, globex] = [tenantId('a'), tenantId('b')];
  for (const owner of [acme, globex]) {
    await put(`files/${owner}/ab/old`, Buffer.of(1), at(0));
    await recordUnreferencedFiles(world.db, owner, [`${owner}/ab/old`], at(0));
  }
  // The time of a recording is never before that of a run.
  const clock = { now: () => at(30 * daySeconds).getTime(), monotonicMs: () => 0 };
  const asked = new Set<string>();
  const findUnneededFiles = async (owner: string, list: readonly string[]) => {
    if (owner === acme && asked.has(owner)) throw new Error('its database does not answer');
    asked.add(owner);
    return list;
  };
  const { spared, unanswered } = await runRetention(world.options(region, { clock, findUnneededFiles }));
  assert.deepEqual([spared, [...unanswered.keys()]], [[`files/${acme}/ab/old`], [acme]]);
  assert.deepEqual(
    (await names()).filter((name) => name.startsWith('files/')),
    [`files/${acme}/ab/old`],
  );
});

test('two runs at once do what one does', async () => {
  const { region, names } = await world.openRegion();
  const [one, other] = await Promise.all([runRetention(world.options(region)), runRetention(world.options(region))]);
  const left = await names();
  assert.deepEqual([one.spared, other.spared], [[], []]);
  assert.ok(one.removedObjects + other.removedObjects >= 20);
  for (const name of goneAfterFiveDays) assert.ok(!left.includes(name), name);
  assert.ok(left.includes(manifestOfDay(5)) && left.includes(dataName(owners[0], 5)));
});

test('a region that is away is left alone, and the next run does its work', async () => {
  const { root, region, names } = await world.openRegion();
  await rename(root, `${root}-away`);
  const runs = (await listRuns(world.db)).length;
  await assert.rejects(runRetention(world.options(region)), { code: 'FH_REGION_UNAVAILABLE' });
  assert.equal((await listRuns(world.db)).length, runs);
  await rename(`${root}-away`, root);
  await runRetention(world.options(region));
  assert.ok(!(await names()).includes(manifestOfDay(0)));
});

test('a base backup that ended between the listing and the decision: what it names again stays', async () => {
  const { root, region, names } = await world.openRegion();
  const { putBase } = await openSealedRegion(root);
  const holds = createRetentionHolds();
  // Compared with one that is too old by now, because the other region has no newer one; all its databases were unchanged.
  async function backUp() {
    const releases = [
      holds.beginBackup({ clusterId, backupId: backupId('d9x') }),
      holds.hold({ kind: 'backup', backupId: backupId('d1'), reason: 'compared with it' }),
    ];
    const databases = owners.map((owner, index) =>
      database(`t_${index}`, 20_000 + index, owner, { object: dataName(owner, 1) }),
    );
    await putBase({ id: 'd9x', start: 38, stop: 39, finishedAt: 9.5 * daySeconds, databases }, at(9.5 * daySeconds));
    for (const release of releases) release();
  }
  const busy: RegionStore = {
    ...region,
    async *list(prefix) {
      const listed = await Array.fromAsync(region.list(prefix));
      await backUp();
      yield* listed;
    },
  };
  await runRetention(world.options(busy, { holds }));
  const left = await names();
  for (const owner of owners) assert.ok(left.includes(dataName(owner, 1)), 'the newest backup names it');
  assert.ok(!left.includes(manifestOfDay(0)) && !left.includes(manifestOfDay(2)));
  // Nobody holds the old one any more; the new one needs its databases by its own name.
  await runRetention(world.options(region, { holds }));
  const then = await names();
  for (const owner of owners) assert.ok(then.includes(dataName(owner, 1)));
  assert.ok(!then.includes(manifestOfDay(1)));
});

test('WAL that another region is owed stays, and all of it while nobody can say', async () => {
  const { region, names } = await world.openRegion();
  const isWal = (name: string) => name.startsWith('segments/');
  const all = (await names()).filter(isWal);
  await runRetention(world.options(region, { readOwed: () => undefined }));
  assert.deepEqual((await names()).filter(isWal), all);
  const owed = [{ timeline: 1, start: lsn(9), end: lsn(13) }];
  const { decision } = await runRetention(world.options(region, { readOwed: () => new Map([['south', owed]]) }));
  assert.deepEqual(
    (await names()).filter(isWal).map((name) => Number.parseInt(name.slice(-2), 16)),
    [2, 3, 5, 6, 7, 8, 9],
  );
  assert.match([...decision.keep.values()].flat().join(), /owed to region south/);
});

test('uploads that never ended go after the grace, and not before', async () => {
  const { root, region } = await world.openRegion();
  const staging = join(root, '.staging');
  await mkdir(staging, { recursive: true });
  for (const [name, day] of [
    ['abandoned', 7],
    ['goes_on', 9],
  ] as const) {
    await writeFile(join(staging, name), 'half');
    await utimes(join(staging, name), at(day * daySeconds), at(day * daySeconds));
  }
  const { removedUnfinished } = await runRetention(world.options(region, { policy }));
  assert.equal(removedUnfinished, 1);
  assert.deepEqual(await readdir(staging), ['goes_on']);
});

test('the first run of a region begins where the region began, however far ahead the clock is', async () => {
  const { region, names } = await world.openRegion();
  await world.db.query('UPDATE regions SET set_up_at = $1, region = $2', [at(0), 'young']);
  const renamed: RegionStore = { ...region, region: 'young' };
  const far = { now: () => at(4_000 * daySeconds).getTime(), monotonicMs: () => 0 };
  const { decision } = await runRetention(world.options(renamed, { clock: far }));
  assert.deepEqual(decision.horizon, at(2 * daySeconds));
  assert.match(decision.warnings.join(), /the clock leapt ahead/);
  assert.ok((await names()).includes(manifestOfDay(2)));
});
