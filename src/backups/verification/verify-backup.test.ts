import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { serialize } from 'node:v8';
import { removeScratchFolders } from '#src/clusters/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { contentHash, longJob, stableOutput } from '#src/portability/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { TestTenant } from '../base/world.fixture.ts';
import { type RestoreWorld, startRestoreWorld } from '../restore/restore-world.fixture.ts';
import type { BackupManifest } from '../types.ts';
import { verificationErrors } from './errors.ts';
import { type RowLedgerOptions, takeRowLedger } from './row-ledger.ts';
import type { LedgerSource, RowLedger, RowReader } from './types.ts';
import { type VerifyBackupOptions, verifyBackup } from './verify-backup.ts';

const rows: RowReader = { settings: { ...longJob, ...stableOutput }, contentOf: contentHash };
let world: RestoreWorld;
let scratchParent: string;
let manifest: BackupManifest;
let ledger: RowLedger;
const nameOf = ({ tenantId }: TestTenant) => (tenantId === world.acme.tenantId ? 'acme' : 'globex');

before(async () => {
  world = await startRestoreWorld();
  scratchParent = await world.newFolder();
  await world.control.query(
    'CREATE TABLE canaries (canary_id bigint GENERATED ALWAYS AS IDENTITY, written_at timestamptz DEFAULT clock_timestamp())',
  );
  // Its lock on a table would make the tenant busy for a moment.
  for (const { database } of [world.acme, world.globex])
    await world.sql(database, 'ALTER TABLE app.items SET (autovacuum_enabled = off)');
  manifest = await world.takeBackup();
  for (const { database } of [world.acme, world.globex])
    await world.sql(
      database,
      "INSERT INTO app.items VALUES (-1, 'after the backup')",
      'DELETE FROM app.items WHERE item_id = 7',
    );
  ledger = await takeLedger();
  // Behind the place, so not in the ledger and not in what is restored.
  for (const { database } of [world.acme, world.globex])
    await world.sql(database, "UPDATE app.items SET text = 'later'");
  await world.control.query('INSERT INTO canaries DEFAULT VALUES');
  await world.shipped();
});
after(() => world?.remove());

function sourceOf(tenant: TestTenant): LedgerSource {
  const { tenantId, database, oid } = tenant;
  const open = () =>
    openConnection({ ...world.own.control, database }, { applicationName: 'test', options: rows.settings });
  return { tenantId, name: nameOf(tenant), database, oid, open };
}

async function takeLedger(change: Partial<RowLedgerOptions> = {}): Promise<RowLedger> {
  const { clusterId, control } = world;
  const sources = [sourceOf(world.acme), sourceOf(world.globex)];
  return takeRowLedger({
    clusterId,
    control,
    sources,
    rows,
    now: () => new Date(systemClock.now()),
    log: silentLog,
    ...change,
  });
}

async function verify(region: RegionStore, change: Partial<VerifyBackupOptions> = {}) {
  const { binaries } = world.own.cluster.options;
  const verdict = await verifyBackup({
    region,
    keys: world.keys,
    destroyedOwners: async () => [],
    backupId: manifest.backupId,
    ledger,
    names: new Map([
      [world.acme.tenantId, 'acme'],
      [world.globex.tenantId, 'globex'],
    ]),
    rows,
    control: world.own.control,
    binaries,
    osUser: world.own.osUser,
    scratchParent,
    clock: systemClock,
    log: silentLog,
    ...change,
  });
  assert.deepEqual(await readdir(scratchParent), []);
  return verdict;
}

const codes = (verdict: { findings: readonly { code: string }[] }) => verdict.findings.map(({ code }) => code);
/** The object of a tenant, in one region. */
const objectPath = (region: RegionStore, tenant: TestTenant) => {
  const { object } = manifest.databases.find(({ oid }) => oid === tenant.oid)!;
  return path.join(world.folderOf(region), object);
};

/** Does something to a file, and undoes it. */
async function damaged(file: string, work: () => Promise<void>, act: (bytes: Buffer) => Buffer | undefined) {
  const bytes = await readFile(file);
  await rm(file);
  const changed = act(Buffer.from(bytes));
  if (changed) await writeFile(file, changed);
  try {
    await work();
  } finally {
    await writeFile(file, bytes);
  }
}
const flipped = (bytes: Buffer) => {
  bytes[Math.floor(bytes.length * 0.7)]! ^= 1;
  return bytes;
};

test('a backup that is what it should be', async () => {
  const { findings, checked, verified } = await verify(world.north);
  assert.deepEqual(findings, []);
  assert.equal(verified.length, 2);
  assert.deepEqual(checked, {
    backupId: manifest.backupId,
    target: ledger.lsn,
    busyTenants: 0,
    canaries: 1,
    tenants: 2,
    tables: 2,
    rows: 4000,
  });
});

test('writers wait only until the snapshots are taken; one who holds a table makes the tenant busy', async () => {
  const writer = await openConnection(
    { ...world.own.control, database: world.globex.database },
    { applicationName: 'test' },
  );
  await writer.query('BEGIN');
  await writer.query("UPDATE app.items SET text = 'not yet' WHERE item_id = 1");
  const taken = await takeLedger();
  await writer.query('COMMIT');
  await writer.close();
  assert.deepEqual(
    taken.tenants.map(({ name }) => name),
    ['acme'],
  );
  assert.deepEqual(taken.busy, [world.globex.tenantId]);
});

test('a tenant that is emptied, locked or cannot be read while others are, is left out and told of', async () => {
  await world.sql(world.globex.database, 'CREATE TABLE app.lists (n int)', 'INSERT INTO app.lists VALUES (1)');
  const other = await openConnection(
    { ...world.own.control, database: world.globex.database },
    { applicationName: 'test' },
  );
  /** Acme is read first, when writers may go on. */
  const takeWhile = async (statement: string) => {
    let isFirst = true;
    const contentOf: RowReader['contentOf'] = async (db) => {
      if (isFirst) await other.query(statement);
      isFirst = false;
      return rows.contentOf(db);
    };
    const { tenants, busy, unread } = await takeLedger({ rows: { ...rows, contentOf } });
    return [tenants.map(({ name }) => name), busy, unread];
  };
  const withoutGlobex = [['acme'], [world.globex.tenantId], []];
  assert.deepEqual(await takeWhile('TRUNCATE app.lists'), withoutGlobex);
  await other.query('BEGIN');
  assert.deepEqual(await takeWhile('LOCK TABLE app.lists IN ACCESS EXCLUSIVE MODE'), withoutGlobex);
  await other.query('ROLLBACK');
  await other.close();
  await world.sql(world.globex.database, 'DROP TABLE app.lists');

  const [acme, globex] = [sourceOf(world.acme), sourceOf(world.globex)];
  const told: unknown[] = [];
  const log = { ...silentLog, error: (_: string, fields?: object) => void told.push(fields) };
  const open = async () => {
    throw verificationErrors.FH_VERIFY_UNREADABLE({ detail: 'no password' });
  };
  const lacking = await takeLedger({ sources: [acme, { ...globex, open }], log });
  assert.deepEqual([lacking.tenants.map(({ name }) => name), lacking.busy], [['acme'], []]);
  const [unread] = lacking.unread!;
  assert.equal(unread!.tenantId, world.globex.tenantId);
  assert.match(unread!.text, /no password/);
  assert.equal((told[0] as { tenantId: string }).tenantId, world.globex.tenantId);
  const { findings, verified } = await verify(world.north, { ledger: { ...ledger, unread: [unread!] } });
  assert.deepEqual(
    findings.map(({ code, tenantName }) => [code, tenantName]),
    [['FH_VERIFY_SOURCE_UNREADABLE', 'globex']],
  );
  assert.equal(verified.length, 2);
});

test('tenants in the backup of whom nobody could be compared, and a manifest that was changed since it was read: never a pass', async () => {
  const busy = ledger.tenants.map(({ tenantId }) => tenantId);
  const { findings, checked, catalogue } = await verify(world.south, { ledger: { ...ledger, tenants: [], busy } });
  assert.deepEqual([findings.map(({ code }) => code), checked.tenants], [['FH_VERIFY_NOTHING_COMPARED'], 0]);
  const file = path.join(world.folderOf(world.south), 'base', world.clusterId, manifest.backupId, 'manifest');
  await damaged(
    file,
    async () => {
      const verdict = await verify(world.south, { previous: catalogue! });
      assert.deepEqual(codes(verdict), ['FH_VERIFY_BACKUP_UNREADABLE']);
      assert.match(verdict.findings[0]!.text, new RegExp(`${manifest.backupId} in region south`));
    },
    flipped,
  );
});

test('a tenant whose key was destroyed, before or just now: left out, counted, and no fault', async () => {
  const { acme, globex, keys } = world;
  keys.destroy(globex.tenantId);
  try {
    let asked = 0;
    const late = async () => (++asked > 1 ? [globex.tenantId] : []);
    for (const destroyedOwners of [late, async () => [globex.tenantId]]) {
      const { findings, verified, checked } = await verify(world.north, { destroyedOwners });
      assert.deepEqual([findings, verified, checked.destroyedTenants], [[], [acme.tenantId], 1]);
    }
  } finally {
    keys.restore(globex.tenantId);
  }
});

test('a changed bit in a tenant object of one region: the tenant and the object are named, the others are compared', async () => {
  const file = objectPath(world.north, world.acme);
  await damaged(
    file,
    async () => {
      const { findings, checked, verified } = await verify(world.north);
      assert.equal(findings.length, 1);
      assert.equal(findings[0]!.tenantName, 'acme');
      assert.match(findings[0]!.text, new RegExp(`north.*data/${world.acme.tenantId}`));
      assert.deepEqual(verified, [world.globex.tenantId]);
      assert.equal(checked.tenants, 1);
    },
    flipped,
  );
});

test('rows that differ from the ledger: the table is named', async () => {
  const [acme, globex] = ledger.tenants;
  const other = { ...acme!, tables: acme!.tables.map((table) => ({ ...table, sha256: '00'.repeat(32) })) };
  const fewer = {
    ...globex!,
    tables: [...globex!.tables.map((table) => ({ ...table, rows: 5 })), { ...globex!.tables[0]!, name: 'app.gone' }],
  };
  const { findings, verified } = await verify(world.south, {
    ledger: { ...ledger, canaries: ledger.canaries + 1, tenants: [other, fewer] },
  });
  assert.deepEqual(
    findings.map(({ code, tenantName }) => `${code} ${tenantName ?? '-'}`),
    [
      'FH_VERIFY_CANARY_MISSING -',
      'FH_VERIFY_ROWS_DIFFER acme',
      'FH_VERIFY_ROWS_DIFFER globex',
      'FH_VERIFY_TABLE_MISSING globex',
    ],
  );
  assert.match(findings[1]!.text, /app\.items has 2000 rows, as it should/);
  assert.match(findings[2]!.text, /app\.items has 2000 rows and had 5/);
  assert.deepEqual(verified, []);
});

const program = `
  const { deserialize } = await import('node:v8');
  const { text } = await import('node:stream/consumers');
  const { armFailpoints, silentLog, systemClock } = await import('#src/kernel/index.ts');
  const { createDiskRegion } = await import('#src/objects/index.ts');
  const { contentHash } = await import('#src/portability/index.ts');
  const { createTestKeys } = await import('#src/backups/base/world.fixture.ts');
  const { verifyBackup } = await import('#src/backups/index.ts');
  const { root, seed, settings, ...options } = deserialize(Buffer.from(await text(process.stdin), 'base64'));
  armFailpoints('backups.verification.restored=kill');
  await verifyBackup({
    ...options, region: createDiskRegion({ region: 'north', root }), keys: createTestKeys(seed),
    rows: { settings, contentOf: contentHash }, names: new Map(), destroyedOwners: async () => [], clock: systemClock, log: silentLog,
  });
`;

test('killed while the scratch server runs: the next start ends it and removes what is left', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'inherit', 'inherit'],
    cwd: path.join(import.meta.dirname, '../../..'),
  });
  const { backupId } = manifest;
  const { osUser, control } = world.own;
  const { binaries } = world.own.cluster.options;
  const [root, { settings }] = [world.folderOf(world.north), rows];
  const options = { root, seed: world.seed, settings, backupId, ledger, control, binaries, osUser, scratchParent };
  child.stdin.end(serialize(options).toString('base64'));
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGKILL');
  assert.equal(await removeScratchFolders(scratchParent, silentLog), 1);
  assert.deepEqual(await readdir(scratchParent), []);
});
