/** What no checksum tells: faults F20, F21 and F31 of docs/backup-faults.md, made on the running server, found in its backup. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { contentHash, longJob, stableOutput } from '#src/portability/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { TestTenant } from '../base/world.fixture.ts';
import { type RestoreWorld, startRestoreWorld } from '../restore/restore-world.fixture.ts';
import { takeRowLedger } from './row-ledger.ts';
import type { LedgerSource, RowReader } from './types.ts';
import { verifyBackup } from './verify-backup.ts';

const rows: RowReader = { settings: { ...longJob, ...stableOutput }, contentOf: contentHash };
let world: RestoreWorld;
before(async () => {
  world = await startRestoreWorld();
  await world.control.query(
    'CREATE TABLE canaries (canary_id bigint GENERATED ALWAYS AS IDENTITY, written_at timestamptz DEFAULT clock_timestamp())',
  );
});
after(() => world?.remove());

/** Only a superuser may write into the catalogue, and only the server's own OS user is one. */
function asSuperuser({ database }: TestTenant, statement: string): void {
  const { osUser, cluster } = world.own;
  const { binaries, socketDir, port } = cluster.options;
  execFileSync(
    path.join(binaries.binDir, 'psql'),
    ['-XAtq', '-h', socketDir, '-p', String(port), '-U', 'postgres', '-d', database, '-c', statement],
    { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], ...(osUser && { uid: osUser.uid, gid: osUser.gid }) },
  );
}

test('an index that lacks a row, a collation of another version: both are named with their tenant; a table outside the WAL is no fault', async () => {
  const { acme, globex, own, clusterId, control } = world;
  await world.sql(acme.database, 'CREATE INDEX by_text ON app.items (text)');
  const isMaintained = (value: boolean) =>
    `UPDATE pg_index SET indisready = ${value}, indislive = ${value} WHERE indexrelid = 'app.by_text'::regclass`;
  asSuperuser(acme, isMaintained(false));
  await world.sql(acme.database, "INSERT INTO app.items VALUES (9001, 'in no index')");
  asSuperuser(acme, isMaintained(true));
  await world.sql(
    globex.database,
    "CREATE COLLATION app.german (provider = icu, locale = 'de')",
    'CREATE TABLE app.names (name text COLLATE app.german)',
    'CREATE UNLOGGED TABLE app.cache (n int)',
    'INSERT INTO app.cache SELECT generate_series(1, 100)',
  );
  asSuperuser(globex, "UPDATE pg_collation SET collversion = '1' WHERE collname = 'german'");

  const { backupId } = await world.takeBackup();
  const names = new Map([
    [acme.tenantId, 'acme'],
    [globex.tenantId, 'globex'],
  ]);
  const sources = [acme, globex].map(({ tenantId, database, oid }): LedgerSource => {
    const target = { ...own.control, database };
    const open = () => openConnection(target, { applicationName: 'test', options: rows.settings });
    return { tenantId, name: names.get(tenantId)!, database, oid, open };
  });
  const now = () => new Date(systemClock.now());
  const ledger = await takeRowLedger({ clusterId, control, sources, rows, now, log: silentLog });
  await control.query('INSERT INTO canaries DEFAULT VALUES');
  await world.shipped();
  const scratchParent = await world.newFolder();
  const { findings, verified } = await verifyBackup({
    region: world.north,
    keys: world.keys,
    destroyedOwners: async () => [],
    backupId,
    ledger,
    names,
    rows,
    control: own.control,
    binaries: own.cluster.options.binaries,
    ...(own.osUser && { osUser: own.osUser }),
    scratchParent,
    clock: systemClock,
    log: silentLog,
  });
  assert.deepEqual(
    findings.map(({ code, tenantName }) => [code, tenantName]),
    [
      ['FH_VERIFY_STRUCTURE_DAMAGED', 'acme'],
      ['FH_VERIFY_COLLATION', 'globex'],
    ],
  );
  assert.match(findings[0]!.text, /by_text/);
  assert.match(findings[1]!.text, /german.*version 1/);
  assert.deepEqual(verified, []);
  assert.deepEqual(await readdir(scratchParent), []);
});
