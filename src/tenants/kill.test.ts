/** Kills the process at every failpoint that an operation crosses, and lets a successor find what is left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { passedFailpoints, randomName, type TenantId } from '#src/kernel/index.ts';
import { verifyDocument } from '#src/keys/index.ts';
import { type ConnectionTarget, openConnection } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import type { ChildOrder } from '../../test/support/operation-child.ts';
import type { Operation, OperationKind } from './types.ts';

let cluster: TestCluster;
let folder: string;
/** Installations side by side on one server: only one control process at a time may work on each. */
const lanes: Lane[] = [];
interface Lane {
  readonly control: ConnectionTarget;
  readonly folder: string;
  readonly world: TestInstallation;
  readonly archive: string;
}
before(async () => {
  cluster = await startTestCluster({ own: true });
  folder = await mkdtemp(join(tmpdir(), 'freehold-kill-'));
  // One after the other: the first makes the template database that all copy.
  for (const number of [1, 2, 3]) lanes.push(await openLane(number));
});
after(async () => {
  for (const { world } of lanes) {
    await dropTestTenants(world);
    await world.stop();
  }
  await asSuperuser(lanes.map(({ control }) => `DROP DATABASE ${control.database} WITH (FORCE)`));
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function openLane(number: number): Promise<Lane> {
  const database = `control_${randomName(12)}`;
  await asSuperuser([`CREATE DATABASE ${database} OWNER ${cluster.control.user}`]);
  const control = { ...cluster.control, database };
  const laneFolder = join(folder, String(number));
  const world = await openTestInstallation({ control, folder: laneFolder });
  const source = await createTenant(world);
  const { operationId } = await finish(world, 'export', source, {});
  return { control, folder: laneFolder, world, archive: join(laneFolder, 'exports', source, `${operationId}.tar`) };
}
async function asSuperuser(statements: readonly string[]): Promise<void> {
  const connection = await openConnection(cluster.superuser, { applicationName: 'test' });
  for (const statement of statements) await connection.query(statement);
  await connection.close();
}

const newName = () => `t-${randomName(12)}`;
async function finish(
  world: TestInstallation,
  kind: OperationKind,
  tenantId: TenantId | undefined,
  input: object,
): Promise<Operation> {
  const { operationId } = await world.lifecycle.startOperation(kind, tenantId, input as never, 'os:test');
  const operation = await world.lifecycle.waitForOperation(operationId);
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  return operation;
}
/** A tenant with a user, a row of the app and a file. */
async function createTenant(world: TestInstallation): Promise<TenantId> {
  const { tenantId } = await finish(world, 'create', undefined, { name: newName(), adminEmail: 'ada@example.com' });
  await world.databases.app.transact(tenantId, (db) =>
    db.query(`INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('n1', 'kept', 'usr_x', now())`),
  );
  const content = [Buffer.from('content')] as unknown as AsyncIterable<Uint8Array>;
  await world.files.put(tenantId, content, { name: 'a', mediaType: 'text/plain', maxBytes: 99, createdBy: 'system' });
  return tenantId;
}

/** Its app is said to be a process, at version 1. */
async function createProcessTenant(world: TestInstallation): Promise<TenantId> {
  const tenantId = await createTenant(world);
  for (const version of ['1', '2'])
    await world.pool.query(
      `INSERT INTO app_versions (app, version, digest, manifest, notes, state, added_at, added_by)
       VALUES ('sample', $1, repeat('0', 64), '{}', '', 'ready', now(), 'test') ON CONFLICT DO NOTHING`,
      [version],
    );
  await world.pool.query(`INSERT INTO tenant_apps (tenant_id, app, version) VALUES ($1, 'sample', '1')`, [tenantId]);
  return tenantId;
}

interface Case {
  readonly tenantId?: TenantId;
  readonly input: object;
}
/** What each kind works on, and where its tenant ends. */
const cases: Record<OperationKind, (lane: Lane) => Promise<Case>> = {
  create: async () => ({ input: { name: newName(), adminEmail: 'ada@example.com' } }),
  suspend: async ({ world }) => ({ tenantId: await createTenant(world), input: {} }),
  resume: async ({ world }) => {
    const tenantId = await createTenant(world);
    await finish(world, 'suspend', tenantId, {});
    return { tenantId, input: {} };
  },
  rename: async ({ world }) => ({ tenantId: await createTenant(world), input: { newName: newName() } }),
  swap: async ({ world }) => ({
    tenantId: await createTenant(world),
    input: { otherTenantId: await createTenant(world) },
  }),
  set: async ({ world }) => ({ tenantId: await createTenant(world), input: { recoveryPoint: 'zero' } }),
  update: async ({ world }) => ({ tenantId: await createProcessTenant(world), input: { version: '2' } }),
  move: async ({ world }) => ({ tenantId: await createTenant(world), input: { edition: 'private-cloud' } }),
  clone: async ({ world }) => ({ tenantId: await createTenant(world), input: { newName: newName() } }),
  export: async ({ world }) => ({ tenantId: await createTenant(world), input: {} }),
  import: async ({ world, archive }) => {
    const archivePath = await world.portability.receiveUpload(createReadStream(archive), 1e9);
    const { app, createdFrom } = await world.portability.inspectArchive(archivePath);
    return { input: { name: newName(), archivePath, app: app.name, createdFrom } };
  },
  restore: async ({ world }) => {
    const moment = { kind: 'time', time: '2026-01-01T00:00:00Z' };
    return { tenantId: await createTenant(world), input: { newName: newName(), moment } };
  },
  // The key at once: what the grace period leaves for later is `destroy`.
  delete: async ({ world }) => ({ tenantId: await createTenant(world), input: { now: true } }),
  destroy: async ({ world }) => {
    const tenantId = await createTenant(world);
    await finish(world, 'delete', tenantId, {});
    return { tenantId, input: {} };
  },
};

async function runUntilKilled(lane: Lane, kind: OperationKind, failpoints: string): Promise<void> {
  const { tenantId, input } = await cases[kind](lane);
  const order: ChildOrder = {
    installation: { control: lane.control, folder: lane.folder },
    failpoints,
    kind,
    tenantId,
    input,
  };
  const script = join(import.meta.dirname, '../../test/support/operation-child.ts');
  const child = spawn(process.execPath, [script, JSON.stringify(order)], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [exitCode, signal] = await once(child, 'exit');
  assert.deepEqual([exitCode, signal], [null, 'SIGKILL'], `${failpoints} was not reached`);
}

/** One lane each, because most of a kill is the start of a process. */
async function inLanes<T>(items: readonly T[], work: (lane: Lane, item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const results = await Promise.allSettled(
    lanes.map(async (lane) => {
      for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(lane, item);
    }),
  );
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function recover(): Promise<Operation[]> {
  const recovered = lanes.map(async ({ world: { lifecycle } }) => {
    const interrupted = await lifecycle.listOperations({ states: ['running'], limit: 500 });
    assert.equal(await lifecycle.resumeAll(), interrupted.length);
    return Promise.all(interrupted.map(({ operationId }) => lifecycle.waitForOperation(operationId)));
  });
  return (await Promise.all(recovered)).flat();
}

/** Nothing half-made: in the registry, on the server, in the key store, on the disk. */
async function assertTidy(): Promise<void> {
  const known = (await Promise.all(lanes.map(({ world }) => world.lifecycle.knownDatabases()))).flat();
  assert.deepEqual(await lanes[0]!.world.admin.findOrphans(known), { databases: [], roles: [] });
  await Promise.all(lanes.map(assertTidyLane));
}
/** What the certificate of a deleted tenant says of its key; undefined: it was never in use, so there is none. */
async function findKeyPart(world: TestInstallation, tenantId: TenantId) {
  const certificate = await world.lifecycle.getCertificate(tenantId).catch(() => undefined);
  if (!certificate) return undefined;
  assert.ok(verifyDocument(certificate.document, certificate.publicKeyPem));
  return (certificate.document as { destroyed: { key: { destroyed: boolean } } }).destroyed.key;
}
/** Whatever became of an update, nothing of the other version is there. */
async function assertContentOfVersion(world: TestInstallation, tenantId: TenantId): Promise<void> {
  const { appVersion } = await world.lifecycle.getTenant(tenantId);
  if (appVersion === undefined) return;
  const [note] = await world.databases.app.read(tenantId, (db) => db.query<{ text: string }>('SELECT text FROM notes'));
  assert.equal(note?.text, appVersion === '2' ? 'written by 2' : 'kept');
  const snapshots = await world.pool.query('SELECT FROM tenant_snapshots WHERE tenant_id = $1', [tenantId]);
  assert.equal(snapshots.length, appVersion === '2' ? 1 : 0);
}
async function assertTidyLane({ world, folder: laneFolder }: Lane): Promise<void> {
  assert.deepEqual(await world.pool.query('SELECT tenant_id FROM tenant_locks'), []);
  assert.deepEqual(await world.pool.query(`SELECT name FROM tenant_names WHERE status = 'claimed'`), []);
  const known = await world.lifecycle.knownDatabases();
  const existing = new Map((await world.admin.listDatabases()).map(({ name, state }) => [name, state]));
  for (const name of known) assert.equal(existing.get(name), 'ready', name);
  const tenants = await world.pool.query<{
    tenant_id: TenantId;
    state: string;
    database_name: string | null;
    key_due_at: Date | null;
  }>('SELECT tenant_id, state, database_name, key_due_at FROM tenants');
  for (const { tenant_id, state, database_name, key_due_at } of tenants) {
    assert.ok(['active', 'suspended', 'deleted'].includes(state), state);
    assert.equal(await world.keys.hasTenantKey(tenant_id), state !== 'deleted' || key_due_at !== null);
    const certificate = state === 'deleted' && (await findKeyPart(world, tenant_id));
    if (certificate) assert.equal(certificate.destroyed, key_due_at === null);
    assert.equal(database_name === null, state === 'deleted');
    const route =
      state === 'deleted'
        ? 'none'
        : await world.directory.getAccess(tenant_id).then(
            () => 'open',
            () => 'closed',
          );
    assert.equal(route, { active: 'open', suspended: 'closed', deleted: 'none' }[state]);
    if (state !== 'active') continue;
    const rows = await world.databases.app.read(tenant_id, (db) => db.query('SELECT text FROM notes'));
    const missing = await world.vault.findMissing(tenant_id);
    assert.deepEqual(missing, []);
    assert.ok(rows.length <= 1);
    await assertContentOfVersion(world, tenant_id);
  }
  const left = (await readdir(join(laneFolder, 'exports'), { recursive: true })).filter((path) =>
    /\.work|upload-|restored-|move-/.test(path),
  );
  assert.deepEqual(left, []);
}

/**
 * What an operation crosses. By default only the end of each step, done but not yet recorded as done, where idempotence is needed most;
 * with FREEHOLD_SLOW_TESTS also the beginnings, and the failpoints inside databases, keys, files and archives.
 */
function crossed(kind: OperationKind): string[] {
  const ofOthers = (name: string) => name.startsWith('lifecycle.') && !name.startsWith(`lifecycle.${kind}.`);
  const names = [...passedFailpoints].filter((name) => !ofOthers(name));
  return process.env.FREEHOLD_SLOW_TESTS ? names : names.filter((name) => /^lifecycle\..*\.after$/.test(name));
}

for (const kind of Object.keys(cases) as OperationKind[]) {
  test(`${kind}: killed anywhere, it is finished by the successor`, async (context) => {
    const [lane] = lanes as [Lane];
    const { tenantId, input } = await cases[kind](lane);
    passedFailpoints.clear();
    await finish(lane.world, kind, tenantId, input);
    const failpoints = crossed(kind);
    assert.ok(failpoints.length >= 1);
    await inLanes(failpoints, (each, name) => runUntilKilled(each, kind, `${name}=kill`));
    const recovered = await recover();
    assert.equal(recovered.length, failpoints.length);
    for (const operation of recovered) assert.equal(operation.state, 'succeeded', JSON.stringify(operation));
    await assertTidy();
    context.diagnostic(`${failpoints.length} failpoints`);
  });
}

/** The later the worse: where there is most to take back. */
const failsAt = {
  create: 'host.before',
  clone: 'host.before',
  import: 'host.before',
  restore: 'host.before',
  update: 'start.after',
  move: 'start.after',
} as const;
for (const kind of Object.keys(failsAt) as (keyof typeof failsAt)[]) {
  test(`${kind}: killed while it is taken back, it is taken back by the successor`, async (context) => {
    const [lane] = lanes as [Lane];
    const failure = `lifecycle.${kind}.${failsAt[kind]}=error`;
    const { tenantId, input } = await cases[kind](lane);
    const { steps } = await finish(lane.world, kind, tenantId, input);
    await inLanes(steps, (each, { name }) =>
      runUntilKilled(each, kind, `${failure},lifecycle.${kind}.${name}.undo=kill`),
    );
    const recovered = await recover();
    assert.equal(recovered.length, steps.length);
    for (const operation of recovered) assert.equal(operation.state, 'undone', JSON.stringify(operation));
    await assertTidy();
    context.diagnostic(`${steps.length} failpoints`);
  });
}
