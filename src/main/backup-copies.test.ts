import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { createRetentionHolds, findManifest, listBackups, manifestName, runBaseBackup } from '#src/backups/index.ts';
import { migrate } from '#src/databases/index.ts';
import { type BackupId, newId, silentLog } from '#src/kernel/index.ts';
import { type ObjectName, type RegionStore, regionErrors } from '#src/objects/index.ts';
import { startWorld, type World } from '../backups/base/world.fixture.ts';
import { createBackupCopies, findMissing } from './backup-copies.ts';

let world: World;
/** Has three backups after the first test. */
let north: RegionStore;
before(async () => {
  world = await startWorld();
  await migrate(world.own.control, {
    schema: 'public',
    folder: path.join(import.meta.dirname, '../../migrations/control'),
  });
});
after(() => world.remove());

const backupsOf = (region: RegionStore) => Array.fromAsync(listBackups(region, world.clusterId));

const holds = createRetentionHolds();
const createCopies = (regions: readonly RegionStore[]) =>
  createBackupCopies({
    clusterId: world.clusterId,
    regions,
    keys: world.keys,
    holds,
    db: world.control,
    jobs: { add() {} },
    log: silentLog,
  });

/** Writes down that retention takes it. */
async function condemn(name: ObjectName): Promise<void> {
  const [run] = await world.control.query<{ id: string }>(
    `INSERT INTO retention_runs (region, horizon, started_at) VALUES ('north', now(), now()) RETURNING run_id AS id`,
  );
  const removal = 'INSERT INTO retention_removals (run_id, position, names) VALUES ($1, 0, $2)';
  await world.control.query(removal, [run!.id, [name]]);
}

/** What was written down by then counts for nothing any more. */
async function letRunsPass(): Promise<void> {
  await world.control.query(
    `INSERT INTO retention_runs (region, horizon, started_at) SELECT 'north', now(), now() FROM generate_series(1, 20)`,
  );
}

test('a backup that a region missed is brought to it when it is back, and one that retention removes is not', async () => {
  const regions = await world.newRegions();
  const [, south] = regions;
  [north] = regions;
  const copies = createCopies(regions);
  const { signal } = new AbortController();
  const first = await runBaseBackup(await world.options(regions));
  const folder = world.folderOf(south);
  await rename(folder, `${folder}-gone`);
  await world.sql(world.acme.database, 'UPDATE app.items SET text = text');
  const second = await runBaseBackup(await world.options(regions, { previous: first.manifest }));
  const third = await runBaseBackup(await world.options(regions, { previous: second.manifest }));
  await assert.rejects(copies.copyMissing(signal), { code: 'FH_REGION_UNAVAILABLE' });
  await rename(`${folder}-gone`, folder);

  const condemned = manifestName(world.clusterId, third.manifest.backupId);
  await condemn(condemned);
  assert.deepEqual(await copies.copyMissing(signal), { copied: 1 });
  assert.deepEqual(new Set(await backupsOf(south)), new Set([first.manifest.backupId, second.manifest.backupId]));
  for (const { object, storedBytes } of [second.manifest.shared, ...second.manifest.databases])
    assert.equal((await south.stat(object))?.sizeBytes, storedBytes);
  assert.deepEqual(await copies.copyMissing(signal), { copied: 0 });
  assert.deepEqual(holds.watch().held(), { holds: [], inProgress: [] });
  const audit = await world.control.query(`SELECT subject FROM audit_events WHERE name = 'backup.copied'`);
  assert.deepEqual(audit, [{ subject: second.manifest.backupId }]);
  assert.equal((await backupsOf(north)).length, 3);
});

test('the oldest first, and no further than the first that fails: an interruption loses none', async () => {
  const { signal } = new AbortController();
  const have = await backupsOf(north);
  const finishedAt = new Map<BackupId, string>();
  for (const backupId of have) {
    const manifest = await findManifest(north, { clusterId: world.clusterId, backupId }, world.keys.openKey);
    finishedAt.set(backupId, manifest!.finishedAt);
  }
  const [first, second, third] = have.sort((one, other) =>
    finishedAt.get(one)!.localeCompare(finishedAt.get(other)!),
  ) as [BackupId, BackupId, BackupId];
  // Nobody can ever read this one; it holds up none of the others.
  await north.put(manifestName(world.clusterId, newId('bak')), Readable.from([Buffer.from('not a manifest')]));
  await letRunsPass();
  const [{ since } = {}] = await world.control.query<{ since: Date }>('SELECT now() AS since');

  const [, empty] = await world.newRegions();
  let refused: BackupId | undefined = second;
  const failing: RegionStore = {
    ...empty,
    async put(name, ...rest) {
      if (name === manifestName(world.clusterId, refused!)) throw regionErrors.FH_REGION_UNAVAILABLE();
      return empty.put(name, ...rest);
    },
  };
  const copies = createCopies([north, failing]);
  await assert.rejects(copies.copyMissing(signal), { code: 'FH_REGION_UNAVAILABLE' });
  assert.deepEqual(await backupsOf(empty), [first]);
  refused = undefined;
  // An object that the interrupted copy has left goes any moment: until that is over, nothing newer comes either.
  const { shared } = (await findManifest(north, { clusterId: world.clusterId, backupId: second }, world.keys.openKey))!;
  await condemn(shared.object);
  assert.deepEqual(await copies.copyMissing(signal), { copied: 0 });
  await letRunsPass();
  assert.deepEqual(await copies.copyMissing(signal), { copied: 2 });
  const audit = await world.control.query<{ subject: string }>(
    `SELECT subject FROM audit_events WHERE name = 'backup.copied' AND recorded_at > $1 ORDER BY recorded_at`,
    [since],
  );
  assert.deepEqual(
    audit.map(({ subject }) => subject),
    [first, second, third],
  );
  assert.deepEqual(await copies.copyMissing(signal), { copied: 0 });
});

test('what is older than everything that a region has is not brought back; an empty region gets all', () => {
  const at = (days: Record<string, string>, ...unreadable: string[]) => ({
    readable: new Map(
      Object.entries(days).map(([backupId, finishedAt]) => [backupId as BackupId, { backupId, finishedAt } as never]),
    ),
    unreadable: new Set(unreadable as BackupId[]),
  });
  const [one, other] = [{ region: 'one' } as RegionStore, { region: 'other' } as RegionStore];
  const held = new Map([
    [one, at({ bak_a: '2026-01-01', bak_c: '2026-01-03' })],
    [other, at({ bak_b: '2026-01-02', bak_c: '2026-01-03' }, 'bak_d')],
  ]);
  const missing = (...there: Parameters<typeof at>) =>
    findMissing(held, at(...there)).map(
      ({ manifest, from }) => `${manifest.backupId} ${from.map(({ region }) => region)}`,
    );
  assert.deepEqual(missing({}), ['bak_a one', 'bak_b other', 'bak_c one,other']);
  assert.deepEqual(missing({ bak_b: '2026-01-02' }), ['bak_c one,other']);
  assert.deepEqual(missing({ bak_a: '2026-01-01', bak_c: '2026-01-03' }), ['bak_b other']);
  // Its name is taken there.
  assert.deepEqual(missing({}, 'bak_a'), ['bak_b other', 'bak_c one,other']);
});
