import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { serialize } from 'node:v8';
import { removeScratchFolders } from '#src/clusters/index.ts';
import { newId, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { contentHash, longJob, stableOutput } from '#src/portability/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import { type RestoreWorld, startRestoreWorld } from '../restore/restore-world.fixture.ts';
import type { BackupManifest } from '../types.ts';
import { type DrillOptions, type DrillResult, runDrill } from './drill.ts';
import { takeRowLedger } from './row-ledger.ts';
import type { LedgerSource, RowReader } from './types.ts';

const rows: RowReader = { settings: { ...longJob, ...stableOutput }, contentOf: contentHash };
let world: RestoreWorld;
let scratchParent: string;
let manifest: BackupManifest;

before(async () => {
  world = await startRestoreWorld();
  scratchParent = await world.newFolder();
  await world.control.query(
    'CREATE TABLE canaries (canary_id bigint GENERATED ALWAYS AS IDENTITY, written_at timestamptz DEFAULT clock_timestamp())',
  );
  for (const { database } of [world.acme, world.globex])
    await world.sql(
      database,
      // Its lock on a table would make the tenant busy for a moment.
      'ALTER TABLE app.items SET (autovacuum_enabled = off)',
      'CREATE SCHEMA freehold',
      'CREATE TABLE freehold.files (sha256 bytea, created_at timestamptz)',
    );
  manifest = await world.takeBackup();
  // One that is new, and may still be on its way.
  await world.sql(world.acme.database, "INSERT INTO freehold.files VALUES ('x', now())");
});
after(() => world?.remove());

const open = (database: string) =>
  openConnection({ ...world.own.control, database }, { applicationName: 'test', options: rows.settings });

/** @param between what happens between the ledger and the loss */
async function drill(
  between: () => Promise<unknown> = async () => {},
  more: Partial<DrillOptions> = {},
): Promise<DrillResult> {
  const { control, clusterId, own } = world;
  const sources = [world.acme, world.globex].map(
    ({ tenantId, database, oid }, index): LedgerSource => ({
      tenantId,
      name: ['acme', 'globex'][index]!,
      database,
      oid,
      open: () => open(database),
    }),
  );
  const now = () => new Date(systemClock.now());
  const ledger = await takeRowLedger({ clusterId, control, sources, rows, now, log: silentLog });
  await between();
  const result = await runDrill({
    region: world.south,
    keys: world.keys,
    destroyedOwners: new Set(),
    running: control,
    ledger,
    sources,
    expected: sources,
    listOpen: async () => new Set(sources.map(({ tenantId }) => tenantId)),
    names: new Map(sources.map(({ tenantId, name }) => [tenantId, name])),
    rows,
    control: own.control,
    binaries: own.cluster.options.binaries,
    osUser: own.osUser,
    async answer(target) {
      // By password, as the running installation lets control in.
      for (const { database } of [own.control, world.acme, world.globex]) {
        const connection = await openConnection(target(database, own.control.user, own.control.password), {
          applicationName: 'test',
        });
        await connection.query('SELECT 1');
        await connection.close();
      }
      return { findings: [], tenants: [world.acme, world.globex] };
    },
    scratchParent,
    clock: systemClock,
    log: silentLog,
    ...more,
  });
  assert.deepEqual(await readdir(scratchParent), []);
  return result;
}

test('the installation from one region, while the other is not there; what was written after the ledger is no fault', async () => {
  const north = world.folderOf(world.north);
  await rename(north, `${north}-away`);
  try {
    const { findings, checked, recoveryPointMs, recoveryTimeMs } = await drill(() =>
      world.sql(world.globex.database, "INSERT INTO app.items VALUES (-9, 'between ledger and loss')"),
    );
    assert.deepEqual(findings, []);
    assert.ok(recoveryPointMs! >= 0 && recoveryTimeMs! > 0);
    const { tenants, ofTenants, busyTenants, tables, rows, backupId } = checked;
    assert.deepEqual(
      { tenants, ofTenants, busyTenants, tables, rows, backupId },
      { tenants: 1, ofTenants: 2, busyTenants: 1, tables: 3, rows: 2001, backupId: manifest.backupId },
    );
  } finally {
    await rename(`${north}-away`, north);
  }
});

test('a tenant that is not there again, a newer backup that cannot be read, tables that were all written: none of it passes', async () => {
  const ghost = { tenantId: newId('ten'), name: 'ghost' };
  const open = new Set([world.acme.tenantId, world.globex.tenantId, ghost.tenantId]);
  const { backupId } = await world.takeBackup();
  const file = path.join(world.folderOf(world.south), 'base', world.clusterId, backupId, 'manifest');
  const bytes = await readFile(file);
  bytes[bytes.length - 9]! ^= 1;
  await rm(file);
  await writeFile(file, bytes);
  const { findings, checked } = await drill(undefined, { expected: [ghost], listOpen: async () => open });
  assert.deepEqual(
    findings.map(({ code, tenantName }) => [code, tenantName]),
    [
      ['FH_VERIFY_BACKUP_UNREADABLE', undefined],
      ['FH_VERIFY_TENANT_MISSING', 'ghost'],
    ],
  );
  assert.match(findings[0]!.text, new RegExp(`${backupId} in region south`));
  assert.equal(checked.backupId, manifest.backupId);
  await rm(file);

  const everywhere = await drill(async () => {
    for (const { database } of [world.acme, world.globex])
      await world.sql(
        database,
        "INSERT INTO app.items VALUES (-10, 'between ledger and loss')",
        "INSERT INTO freehold.files VALUES ('z', now())",
      );
  });
  assert.deepEqual(
    everywhere.findings.map(({ code }) => code),
    ['FH_VERIFY_NOTHING_COMPARED'],
  );
});

/** Counts rows, or takes everything through a drill, in a process that a failpoint kills. */
const program = `
  const { deserialize } = await import('node:v8');
  const { text } = await import('node:stream/consumers');
  const { armFailpoints, silentLog: log, systemClock: clock } = await import('#src/kernel/index.ts');
  const { createDiskRegion } = await import('#src/objects/index.ts');
  const { contentHash } = await import('#src/portability/index.ts');
  const { openConnection } = await import('#src/postgres/index.ts');
  const { createTestKeys } = await import('#src/backups/base/world.fixture.ts');
  const { runDrill, takeRowLedger } = await import('#src/backups/index.ts');
  const { point, root, seed, settings, control, clusterId, tenants, ...options } = deserialize(
    Buffer.from(await text(process.stdin), 'base64'),
  );
  armFailpoints(point + '=kill');
  const open = (database) => openConnection({ ...control, database }, { applicationName: 'killed', options: settings });
  const running = await openConnection(control, { applicationName: 'killed' });
  const sources = tenants.map((tenant) => ({ ...tenant, open: () => open(tenant.database) }));
  const rows = { settings, contentOf: contentHash };
  const ledger = await takeRowLedger({ clusterId, control: running, sources, rows, now: () => new Date(), log });
  await runDrill({
    ...options, region: createDiskRegion({ region: 'south', root }), keys: createTestKeys(seed), ledger, sources, running, rows,
    control, expected: [], listOpen: async () => new Set(), destroyedOwners: new Set(), names: new Map(), clock, log,
    answer: async () => ({ findings: [], tenants: [] }),
  });
`;

async function dieAt(point: string): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'inherit', 'inherit'],
    cwd: path.join(import.meta.dirname, '../../..'),
  });
  const { own, clusterId, seed } = world;
  const { osUser, control } = own;
  const { binaries } = own.cluster.options;
  const [root, { settings }] = [world.folderOf(world.south), rows];
  const tenants = [world.acme, world.globex].map((tenant) => ({ ...tenant, name: tenant.database }));
  const input = { point, root, seed, settings, control, clusterId, tenants, binaries, osUser, scratchParent };
  child.stdin.end(serialize(input).toString('base64'));
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGKILL');
}

test('killed while rows are counted: nobody waits for it; killed with everything rebuilt: the next start removes it', async () => {
  await dieAt('backups.verification.ledger_marked');
  const left = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'killed'`;
  await waitFor('its sessions to end', async () => (await world.control.query(left)).length === 0, {
    deadlineMs: 60_000,
  });
  await world.sql(world.acme.database, 'BEGIN', 'LOCK TABLE app.items IN ACCESS EXCLUSIVE MODE NOWAIT', 'ROLLBACK');
  assert.deepEqual(await readdir(scratchParent), []);

  await dieAt('backups.drill.restored');
  assert.equal((await readdir(scratchParent)).length, 1);
  assert.equal(await removeScratchFolders(scratchParent, silentLog), 1);
  assert.deepEqual(await readdir(scratchParent), []);
});

test('files that the region lacks, and an object that was changed: the tenant is named', async () => {
  await world.sql(world.globex.database, "INSERT INTO freehold.files VALUES ('y', now() - interval '1 day')");
  const lacking = await drill();
  assert.deepEqual(
    lacking.findings.map(({ code, tenantName }) => [code, tenantName]),
    [['FH_VERIFY_FILES_MISSING', 'globex']],
  );

  const { object } = manifest.databases.find(({ oid }) => oid === world.acme.oid)!;
  const file = path.join(world.folderOf(world.south), object);
  const bytes = await readFile(file);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  await rm(file);
  await writeFile(file, bytes);
  const { findings, recoveryTimeMs } = await drill();
  assert.deepEqual(
    findings.map(({ tenantName }) => tenantName),
    ['acme'],
  );
  assert.equal(recoveryTimeMs, undefined);
});
