/** Faults F09 and F31 of docs/backup-faults.md: a server that PostgreSQL starts and takes back in the middle of replay. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { recoverFrom, type SourceServer, startSourceServer } from './source.fixture.ts';

let source: SourceServer;
/** Of the database that recoveries leave out. */
let skipped: number;
before(async () => {
  source = await startSourceServer();
  await source.sql('postgres', 'CREATE DATABASE other', 'CREATE TABLE ledger (n int)');
  await source.sql('other', 'CREATE TABLE ledger AS SELECT n FROM generate_series(1, 2000) n');
  skipped = Number((await source.sql('postgres', "SELECT oid FROM pg_database WHERE datname = 'other'"))[0]!.oid);
});
after(() => source?.stop());

const nothing = async () => assert.fail('it must not succeed');
const end = { kind: 'name', name: 'end' } as const;

test('written without full pages, a restore of one database ends in a PANIC after the start: an error, never a server', async () => {
  await source.sql('postgres', 'ALTER SYSTEM SET full_page_writes = off', 'SELECT pg_reload_conf()', 'CHECKPOINT');
  await source.takeBase();
  await source.sql('other', 'UPDATE ledger SET n = -n', 'VACUUM ledger');
  await source.sql('postgres', 'INSERT INTO ledger VALUES (1)', "SELECT pg_create_restore_point('end')");
  await source.archiveNow();
  await assert.rejects(recoverFrom(source, { target: end }, nothing, [skipped]), {
    code: 'FH_RECOVERY_FAILED',
    detail: /WAL contains references to invalid pages/,
  });
  assert.deepEqual(await readdir(source.scratchParent), []);
  // The cluster as a whole has every page.
  await recoverFrom(source, { target: end }, async (server) => assert.ok(server.lsn > 0n));
});

test('the server dies in the middle of replay: killed, or because a file cannot be opened', async () => {
  await source.sql('postgres', 'ALTER SYSTEM RESET full_page_writes', 'SELECT pg_reload_conf()', 'CHECKPOINT');
  await source.takeBase();
  await source.sql('postgres', 'INSERT INTO ledger VALUES (2)');
  await source.archiveNow();
  await source.sql('postgres', 'INSERT INTO ledger VALUES (3)', "SELECT pg_create_restore_point('end')");
  await source.archiveNow();

  let dataDir = '';
  const watched: SourceServer = {
    ...source,
    async restoreBase(folder, options) {
      dataDir = folder.dataDir;
      await source.restoreBase(folder, options);
    },
  };
  let segments = 0;
  // At once: the server must not have the time to end its recovery.
  const onSegment = () => {
    if (++segments !== 2) return;
    const [pid] = readFileSync(path.join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
    process.kill(Number(pid), 'SIGKILL');
  };
  await assert.rejects(recoverFrom(watched, { target: end, onSegment }, nothing), { code: 'FH_RECOVERY_FAILED' });
  assert.ok(segments >= 2);

  const [found] = await source.sql('postgres', "SELECT pg_relation_filepath('ledger') AS file");
  const spoiled: SourceServer = {
    ...source,
    async restoreBase(folder, options) {
      await source.restoreBase(folder, options);
      const file = path.join(folder.dataDir, String(found!.file));
      await rm(file);
      await mkdir(file);
    },
  };
  await assert.rejects(recoverFrom(spoiled, { target: end }, nothing), {
    code: 'FH_RECOVERY_FAILED',
    detail: /could not create file .*: File exists/,
  });
  assert.deepEqual(await readdir(source.scratchParent), []);
});
