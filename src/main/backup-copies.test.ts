import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createRetentionHolds, listBackups, manifestName, runBaseBackup } from '#src/backups/index.ts';
import { migrate } from '#src/databases/index.ts';
import { type BackupId, silentLog } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { startWorld, type World } from '../backups/base/world.fixture.ts';
import { createBackupCopies, findMissing } from './backup-copies.ts';

let world: World;
before(async () => {
  world = await startWorld();
  await migrate(world.own.control, {
    schema: 'public',
    folder: path.join(import.meta.dirname, '../../migrations/control'),
  });
});
after(() => world.remove());

const backupsOf = (region: RegionStore) => Array.fromAsync(listBackups(region, world.clusterId));

test('a backup that a region missed is brought to it when it is back, and one that retention removes is not', async () => {
  const regions = await world.newRegions();
  const [north, south] = regions;
  const holds = createRetentionHolds();
  const copies = createBackupCopies({
    clusterId: world.clusterId,
    regions,
    keys: world.keys,
    holds,
    db: world.control,
    jobs: { add() {} },
    log: silentLog,
  });
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
  const [run] = await world.control.query<{ id: string }>(
    `INSERT INTO retention_runs (region, horizon, started_at) VALUES ('north', now(), now()) RETURNING run_id AS id`,
  );
  await world.control.query('INSERT INTO retention_removals (run_id, position, names) VALUES ($1, 0, $2)', [
    run!.id,
    [condemned],
  ]);
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

test('what is older than everything that a region has is not brought back; an empty region gets all', () => {
  const at = (days: Record<string, string>) =>
    new Map(
      Object.entries(days).map(([backupId, finishedAt]) => [backupId as BackupId, { backupId, finishedAt } as never]),
    );
  const have = at({ bak_a: '2026-01-01', bak_b: '2026-01-02', bak_c: '2026-01-03' });
  const missing = (there: Record<string, string>) => findMissing(have, at(there)).map(({ backupId }) => backupId);
  assert.deepEqual(missing({}), ['bak_c', 'bak_b', 'bak_a']);
  assert.deepEqual(missing({ bak_b: '2026-01-02' }), ['bak_c']);
  assert.deepEqual(missing({ bak_a: '2026-01-01', bak_c: '2026-01-03' }), ['bak_b']);
});
