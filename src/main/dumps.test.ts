import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { selectDumps, selectDumpVerifications } from '#src/backups/index.ts';
import type { Cluster } from '#src/clusters/index.ts';
import { type DumpRunView, dumpRoutes, type TenantDumps } from '#src/console-api/index.ts';
import { createHttpApp } from '#src/http/index.ts';
import { type Clock, newId, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import type { BackupKeys, KeyStore } from '#src/keys/types.ts';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import { contentHash, longJob, stableOutput, unexportedTables } from '#src/portability/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { Tenant } from '#src/tenants/index.ts';
import { openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { type OwnCluster, startOwnCluster } from '../../test/support/own-cluster.ts';
import { startStandby } from './dumps.fixture.ts';
import { createDumps, type DumpServices } from './dumps.ts';
import type { Job } from './jobs.ts';
import { createLedgerSamples } from './ledger-samples.ts';
import { createTenantReaders, type OpenTenantReader } from './tenant-readers.ts';

let own: OwnCluster;
let world: TestInstallation;
let regions: RegionStore[];
let standby: Cluster | undefined;
let dumps: DumpServices;
let openReader: OpenTenantReader;
let acme: Tenant;
let globex: Tenant;
/** Ahead of the machine's. */
let aheadMs = 0;
const jobs = new Map<string, Job>();
const ended: (() => Promise<void>)[] = [];
const hourMs = 3_600_000;

before(async () => {
  own = await startOwnCluster();
  const folder = path.join(own.folder, 'control');
  await mkdir(folder);
  world = await openTestInstallation({ control: own.control, folder });
  const keys = world.keys as KeyStore & BackupKeys;
  const clusterId = newId('clu');
  await keys.createKey(clusterId);
  regions = [];
  for (const region of ['north', 'south']) {
    await mkdir(path.join(own.folder, region));
    const store = createDiskRegion({ region, root: path.join(own.folder, region), initialise: true });
    await store.stat('kits/none');
    regions.push(store);
  }
  const scratchFolder = path.join(own.folder, 'scratch');
  await mkdir(scratchFolder);
  await chmod(scratchFolder, 0o711);
  if (own.osUser) await chown(scratchFolder, own.osUser.uid, own.osUser.gid);
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  openReader = createTenantReaders({
    pool: world.pool,
    databases: world.admin,
    directory: world.directory.forLifecycle,
  });
  dumps = createDumps({
    backups: { clusterId, regions },
    binaries: own.cluster.options.binaries,
    pool: world.pool,
    keys,
    content: {
      settings: { ...longJob, ...stableOutput },
      withoutRows: unexportedTables,
      read: (db) => contentHash(db, { unlogged: false }),
    },
    openReader,
    standbySocket: () => standby?.options.socketDir,
    scratchFolder,
    osUser: own.osUser,
    jobs: { add: (job) => void jobs.set(job.name, job) },
    clock,
    log: silentLog,
    shutdown: { add: (_name, _deadlineMs, run) => void ended.push(run) },
  });
  dumps.schedule();
  [acme, globex] = [await createTenant('acme'), await createTenant('globex')];
});
after(async () => {
  for (const end of ended) await end();
  await standby?.stop({ smartMs: 0 });
  await world?.stop();
  await own?.remove();
});

async function createTenant(name: string): Promise<Tenant> {
  const input = { name, adminEmail: 'ada@example.com' };
  const started = await world.lifecycle.startOperation('create', undefined, input, 'os:test');
  assert.equal((await world.lifecycle.waitForOperation(started.operationId)).state, 'succeeded');
  const tenant = await world.lifecycle.getTenant(name);
  // What a standby cannot read, and a crash empties.
  await world.databases.app.transact(tenant.tenantId, async (db) => {
    await db.query('CREATE UNLOGGED TABLE app.cache (number int GENERATED ALWAYS AS IDENTITY, text text)');
    await db.query(`INSERT INTO app.cache (text) VALUES ('soon forgotten')`);
  });
  await write(tenant, 'n1', `first of ${name}`);
  return tenant;
}
async function runOperation(kind: 'suspend' | 'resume', tenant: Tenant): Promise<void> {
  const { operationId } = await world.lifecycle.startOperation(kind, tenant.tenantId, {}, 'os:test');
  assert.equal((await world.lifecycle.waitForOperation(operationId)).state, 'succeeded');
}
const write = ({ tenantId }: Tenant, id: string, text: string) =>
  world.databases.app.transact(tenantId, (db) =>
    db.query(`INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('${id}', '${text}', 'usr_x', now())`),
  );
const runJob = (name: string) => jobs.get(name)!.run(new AbortController().signal);
const folderOf = (region: RegionStore) => path.join(own.folder, region.region);

/** Who needs a look, how it stands, and the code of a last attempt that failed. */
async function troubled() {
  const { tenants } = await dumps.overview({ standing: 'trouble', limit: 9, offset: 0 });
  return tenants.map(({ tenantName, standing, lastRun }) => [tenantName, standing, lastRun?.error?.code ?? null]);
}

async function runByCommand(tenant?: string): Promise<DumpRunView> {
  await dumps.start(tenant);
  await waitFor('the dumps', () => dumps.latest()?.state !== 'running', { deadlineMs: 120_000 });
  return dumps.latest()!;
}

test('by command: dumped, restored from one region to see that it does, and the next from the other', async () => {
  const run = await runByCommand('acme');
  assert.equal(run.state, 'succeeded', JSON.stringify(run));
  const [first] = run.tenants;
  assert.deepEqual(
    [first!.outcome, first!.server, first!.regions, first!.verified?.passed],
    ['stored', 'primary', ['north', 'south'], true],
  );
  const second = await runByCommand(acme.tenantId);
  assert.notEqual(second.tenants[0]!.verified!.region, first!.verified!.region);
  assert.equal((await dumps.list()).length, 2);
  assert.deepEqual(await readdir(path.join(own.folder, 'scratch')), []);
  await assert.rejects(dumps.start('nobody'), { code: 'FH_DUMP_NO_TENANT' });
});

test('staff see per tenant how its dumps stand, and page, search and filter them', async () => {
  const app = createHttpApp({ name: 'console', log: silentLog, clock: systemClock });
  await app.register(dumpRoutes(dumps));
  const get = async (url: string) => {
    const answer = await app.inject({ url });
    return { status: answer.statusCode, body: answer.json() };
  };
  const { body } = await get('/api/dumps/tenants');
  const standings = body.tenants.map((each: TenantDumps) => [each.tenantName, each.standing, each.kept]);
  assert.deepEqual(standings, [
    ['globex', 'none', 0],
    ['acme', 'sound', 2],
  ]);
  assert.deepEqual([body.total, body.counts.none, body.counts.sound], [2, 1, 1]);
  assert.deepEqual(body.regions, ['north', 'south']);
  assert.equal(body.tenants[0].newest, null);
  const { newest, lastRun } = body.tenants[1];
  assert.deepEqual([newest.verification.passed, newest.regions, lastRun.outcome], [true, ['north', 'south'], 'stored']);
  assert.deepEqual([body.tenants[0].unloggedTables, body.tenants[1].unloggedTables], [[], ['app.cache']]);
  const found = async (query: string) =>
    (await get(`/api/dumps/tenants?${query}`)).body.tenants.map((each: TenantDumps) => each.tenantName);
  assert.deepEqual(await found('limit=1&offset=1'), ['acme']);
  assert.deepEqual(await found('search=GLOB'), ['globex']);
  assert.deepEqual(await found(`search=${acme.tenantId}`), ['acme']);
  assert.deepEqual(await found('standing=sound'), ['acme']);
  assert.deepEqual(await found('standing=trouble'), []);
  for (const query of ['standing=well', 'limit=0', 'limit=501', 'offset=-1', 'search=%00', 'other=1'])
    assert.equal((await get(`/api/dumps/tenants?${query}`)).status, 400, query);

  const ofOne = async (tenant: string) => (await get(`/api/dumps?tenant=${tenant}`)).body.dumps;
  assert.equal((await ofOne('acme')).length, 2);
  assert.deepEqual(await ofOne(acme.tenantId), await ofOne('acme'));
  assert.deepEqual([await ofOne('globex'), await ofOne('nobody')], [[], []]);
  await app.close();
});

test('the newest of a tenant opens, whatever region is away, and is nobody else’s', async () => {
  await assert.rejects(dumps.openNewest(globex.tenantId), { code: 'FH_DUMP_NOT_FOUND' });
  const [north] = regions as [RegionStore];
  await rename(folderOf(north), `${folderOf(north)}-away`);
  const { header, content } = await dumps.openNewest(acme.tenantId);
  await rename(`${folderOf(north)}-away`, folderOf(north));
  assert.equal(header.tenantId, acme.tenantId);
  assert.equal((await Array.fromAsync(content)).join('').slice(0, 5), 'PGDMP');
  assert.equal((await selectDumps(world.pool, globex.tenantId)).length, 0);
});

test('nightly: from the standby, every tenant, again only when something changed; a region that was away has it later', async () => {
  standby = await startStandby(own);
  const [north, south] = regions as [RegionStore, RegionStore];
  await rename(folderOf(south), `${folderOf(south)}-away`);
  await runJob('dumps');
  const [ofGlobex] = await selectDumps(world.pool, globex.tenantId);
  assert.deepEqual(ofGlobex!.regions, ['north']);
  await rename(`${folderOf(south)}-away`, folderOf(south));
  const { header, content } = await dumps.openNewest(globex.tenantId);
  await content.return?.();
  assert.equal(header.server, 'standby');
  await runJob('verification of dumps');
  assert.equal((await selectDumpVerifications(world.pool, globex.tenantId))[0]!.passed, true);
  await runJob('dumps');
  assert.deepEqual((await selectDumps(world.pool, globex.tenantId))[0]!.regions, ['north', 'south']);

  // Nothing is due within hours, all are the next day; those that did not change are not stored again.
  const count = async () => (await selectDumps(world.pool)).length;
  const before = await count();
  aheadMs = hourMs;
  await runJob('dumps');
  assert.equal(await count(), before);
  aheadMs = 30 * hourMs;
  await write(acme, 'n2', 'second of acme');
  await runJob('dumps');
  assert.equal(await count(), before + 1);
  assert.equal((await selectDumps(world.pool, acme.tenantId)).length, 3);
  aheadMs = 9 * 24 * hourMs;
  await runJob('dumps');
  assert.equal(await count(), before + 3, 'nothing is left without a new dump for longer than a week');

  // That a table is in no backup is told by the newest dump, so another such table makes a new one.
  const unlogged = async () => (await selectDumps(world.pool, globex.tenantId))[0]!.content!.unlogged;
  assert.deepEqual(await unlogged(), ['app.cache']);
  await world.databases.app.transact(globex.tenantId, (db) =>
    db.query('CREATE UNLOGGED TABLE app.scratch (text text)'),
  );
  aheadMs += 30 * hourMs;
  await runJob('dumps');
  assert.deepEqual([await count(), await unlogged()], [before + 4, ['app.cache', 'app.scratch']]);

  // A copy that was lost, and one that we never wrote, are seen.
  const [newest] = await selectDumps(world.pool, acme.tenantId);
  await rm(path.join(folderOf(north), 'dumps', acme.tenantId, newest!.dumpId));
  await writeFile(path.join(folderOf(south), 'dumps', acme.tenantId, newId('dmp')), 'not one of ours');
  aheadMs += 13 * hourMs;
  await runJob('dumps');
  const seen = await selectDumps(world.pool, acme.tenantId);
  assert.deepEqual(seen.find(({ dumpId }) => dumpId === newest!.dumpId)!.regions, ['north', 'south']);
});

test('each is verified from one region alone; a copy that is damaged turns it red, and the other is tried', async () => {
  await write(globex, 'n3', 'third of globex');
  aheadMs += 30 * hourMs;
  await runJob('dumps');
  const [newest] = await selectDumps(world.pool, globex.tenantId);
  for (const region of regions) {
    const file = path.join(folderOf(region), 'dumps', globex.tenantId, newest!.dumpId);
    const bytes = await readFile(file);
    bytes[bytes.length - 9]! ^= 4;
    await chmod(file, 0o600);
    await writeFile(file, bytes);
  }
  for (const _ of regions) await assert.rejects(runJob('verification of dumps'), { code: 'FH_DUMP_UNVERIFIED' });
  const found = (await selectDumpVerifications(world.pool, globex.tenantId)).filter(
    ({ dumpId }) => dumpId === newest!.dumpId,
  );
  assert.deepEqual(found.map(({ region, passed, findings }) => [region, passed, findings[0]!.code]).sort(), [
    ['north', false, 'FH_DUMP_DAMAGED'],
    ['south', false, 'FH_DUMP_DAMAGED'],
  ]);
  const events = await world.pool.query(`SELECT 1 FROM audit_events WHERE name = 'backup.dump_unsound'`);
  assert.equal(events.length, 2);
  assert.deepEqual(await troubled(), [['globex', 'unsound', null]]);
});

test('a copy that is damaged in one region stays a fault when the other gives a sound one, until there is a new dump', async () => {
  await runByCommand('globex');
  await runJob('verification of dumps');
  await write(globex, 'n3b', 'more of globex');
  aheadMs += 30 * hourMs;
  await runJob('dumps');
  const [newest] = await selectDumps(world.pool, globex.tenantId);
  const [last] = await selectDumpVerifications(world.pool, globex.tenantId);
  const next = regions.find(({ region }) => region !== last!.region)!;
  const file = path.join(folderOf(next), 'dumps', globex.tenantId, newest!.dumpId);
  const bytes = await readFile(file);
  bytes[bytes.length - 9]! ^= 4;
  await chmod(file, 0o600);
  await writeFile(file, bytes);
  const isUnsound = { code: 'FH_DUMP_UNVERIFIED', message: new RegExp(`${newest!.dumpId} in region ${next.region}`) };
  // Damaged here, sound there, and then nothing is left to verify.
  for (const _ of [1, 2, 3]) await assert.rejects(runJob('verification of dumps'), isUnsound);
  const tried = await selectDumpVerifications(world.pool, globex.tenantId);
  assert.deepEqual(
    tried.filter(({ dumpId }) => dumpId === newest!.dumpId).map(({ passed }) => passed),
    [true, false],
  );
  const told = (await dumps.list()).find(({ dumpId }) => dumpId === newest!.dumpId)!.verification!;
  assert.deepEqual([told.region, told.passed], [next.region, false]);
  const run = await runByCommand('globex');
  assert.equal(run.state, 'succeeded', JSON.stringify(run));
  await runJob('verification of dumps');
});

test('a dump in a region that there is no longer is dumped again, and verified from one that there is', async () => {
  const [newest] = await selectDumps(world.pool, globex.tenantId);
  await world.pool.query(`UPDATE dumps SET region = 'gone' WHERE dump_id = $1 AND region = 'north'`, [newest!.dumpId]);
  await world.pool.query(`DELETE FROM verifications WHERE subject = $1`, [newest!.dumpId]);
  await runJob('verification of dumps');
  const verified = (await selectDumpVerifications(world.pool, globex.tenantId)).find(
    ({ dumpId }) => dumpId === newest!.dumpId,
  );
  assert.deepEqual([verified?.region, verified?.passed], ['south', true]);

  // Both regions are others now than when it was made.
  for (const region of regions) await rm(path.join(folderOf(region), 'dumps', globex.tenantId, newest!.dumpId));
  await world.pool.query(`UPDATE dumps SET region = 'lost' WHERE dump_id = $1 AND region = 'south'`, [newest!.dumpId]);
  aheadMs += 30 * hourMs;
  await runJob('dumps');
  const [again] = await selectDumps(world.pool, globex.tenantId);
  assert.notEqual(again!.dumpId, newest!.dumpId);
  assert.deepEqual(again!.regions, ['north', 'south']);
});

test('a suspended tenant is dumped and counted like any other, and its doors stay closed meanwhile and afterwards', async () => {
  const suspended = (kind: 'suspend' | 'resume') => runOperation(kind, acme);
  await suspended('suspend');
  const roles = () =>
    world.pool.query(
      `SELECT rolname AS name FROM pg_roles WHERE rolcanlogin AND rolname LIKE $1 || '%' AND rolname <> 'postgres'`,
      [acme.databaseName],
    );
  assert.deepEqual(await roles(), []);

  const run = await runByCommand('acme');
  assert.equal(run.state, 'succeeded', JSON.stringify(run));
  assert.deepEqual([run.tenants[0]!.server, run.tenants[0]!.verified?.passed], ['primary', true]);
  assert.deepEqual(await roles(), [], 'the login that read it is gone');

  const clusterId = newId('clu');
  const samples = createLedgerSamples({ clusterId, pool: world.pool, openReader, clock: systemClock, log: silentLog });
  const take = () => samples.take({ manifest: undefined, later: true }, new AbortController().signal, () => {});
  // Somebody who passes by, autovacuum for example, makes a tenant busy for once.
  let ledger = (await take()).ledger;
  await waitFor(
    'a ledger of everybody',
    async () => {
      if (ledger.tenants.length < 2) ({ ledger } = await take());
      return ledger.tenants.length === 2;
    },
    { deadlineMs: 120_000 },
  );
  const counted = ledger.tenants.find(({ tenantId }) => tenantId === acme.tenantId)!;
  assert.ok(counted.tables.find(({ name }) => name === 'app.notes')!.rows > 0);
  assert.deepEqual([ledger.unread, await roles()], [[], []]);

  // Two share the login; who closes the database or opens it again does not wait for them.
  const [one, other] = [await openReader(acme.tenantId), await openReader(acme.tenantId)];
  assert.equal(one.target.password, other.target.password);
  await one.close();
  await one.close();
  const reading = await openConnection(other.target, { applicationName: 'test' });
  await assert.rejects(reading.query('DELETE FROM app.notes'), { code: '25006' });
  await suspended('resume');
  await reading.close();
  await other.close();
  const names = (await roles()).map(({ name }) => name);
  assert.deepEqual(names.toSorted(), [acme.databaseName, `${acme.databaseName}_p`]);
  assert.equal((await openReader(acme.tenantId)).isPassing, false);
});

test('a tenant that cannot be dumped keeps nobody else from being, and is told', async () => {
  await world.pool.query(`UPDATE tenants SET database_name = 't_00000000000000000000' WHERE tenant_id = $1`, [
    acme.tenantId,
  ]);
  aheadMs += 30 * hourMs;
  await write(globex, 'n4', 'fourth of globex');
  const before = (await selectDumps(world.pool, globex.tenantId)).length;
  await assert.rejects(runJob('dumps'), { code: 'FH_DUMP_FAILED', message: /acme/ });
  assert.equal((await selectDumps(world.pool, globex.tenantId)).length, before + 1);
  const events = await world.pool.query(`SELECT 1 FROM audit_events WHERE name = 'backup.dump_failed'`);
  assert.equal(events.length, 1);
  assert.deepEqual(await troubled(), [['acme', 'failed', 'FH_DUMP_FAILED']]);
  aheadMs += 31 * hourMs;
  assert.deepEqual(
    (await troubled()).map(([, standing]) => standing),
    ['failed', 'late'],
  );
});
