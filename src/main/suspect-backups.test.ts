import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { recordAudit } from '#src/audit/index.ts';
import { migrate } from '#src/databases/index.ts';
import { createPool, type Pool } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { findSuspectBackup, findSuspectWarnings } from './suspect-backups.ts';

let cluster: TestCluster;
let db: Pool;
before(async () => {
  cluster = await startTestCluster();
  await migrate(cluster.control, { schema: 'public', folder: new URL('../../migrations/control/', import.meta.url) });
  db = createPool(cluster.control, { max: 2, applicationName: 'test' });
});
after(async () => {
  await db?.stop();
  await cluster?.stop();
});

test('a page that failed its checksum is a problem, with the tenants, until a base backup is sound again', async () => {
  const ended = (name: 'backup.completed' | 'backup.suspect', subject: string, damaged?: string, server?: string) =>
    recordAudit(db, {
      name,
      actor: 'system',
      subject,
      details: { ...(server && { server }), regions: 'a b', ...(damaged && { damaged }) },
    });
  const warnings = async (server = 'main') => findSuspectWarnings(await findSuspectBackup(db, server));
  assert.deepEqual(await warnings(), []);
  await ended('backup.completed', 'bak_1');
  assert.deepEqual(await warnings(), []);
  await ended('backup.suspect', 'bak_2', 'ten_1 freehold_control');
  const [warning, ...others] = await warnings();
  assert.deepEqual([warning?.severity, others], ['problem', []]);
  assert.match(warning!.text, /bak_2 of \S+Z: of ten_1, freehold_control\.$/);
  await ended('backup.suspect', 'bak_3');
  assert.match((await warnings())[0]!.text, /bak_3 of \S+Z\.$/);
  await ended('backup.suspect', 'bak_4', undefined, 'c12345678');
  await ended('backup.completed', 'bak_5');
  assert.deepEqual(await warnings(), []);
  // A sound backup of one server says nothing about another's.
  assert.match((await warnings('c12345678'))[0]!.text, /bak_4/);
  await ended('backup.completed', 'bak_6', undefined, 'c12345678');
  assert.deepEqual(await warnings('c12345678'), []);
});
