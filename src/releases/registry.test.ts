import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { recordAudit } from '#src/audit/index.ts';
import { FreeholdError, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import type { OperationInputs } from '#src/tenants/flow.ts';
import type { Operation, OperationKind, Tenant } from '#src/tenants/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import {
  type AppRegistry,
  checkFolder,
  createAppRegistry,
  type InstallOrder,
  packFolder,
  unpackVersion,
} from './index.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let apps: AppRegistry;
const orders: InstallOrder[] = [];
/** A build waits for it while it is set. */
let gate: Promise<void> | undefined;
let failure: Error | undefined;
const told: string[] = [];

function openRegistry(): AppRegistry {
  const registry = createAppRegistry({
    db: world.pool,
    incomingFolder: join(folder, 'incoming'),
    ownApps: ['sample'],
    recordAudit,
    clock: systemClock,
    log: silentLog,
    installer: {
      async install(order) {
        orders.push(order);
        await gate;
        if (failure) throw failure;
        await unpackVersion(order.archivePath, versionFolder(order.app, order.version));
      },
      isInstalled: ({ app, version }) =>
        access(versionFolder(app, version)).then(
          () => true,
          () => false,
        ),
      remove: ({ app, version }) => rm(versionFolder(app, version), { recursive: true, force: true }),
    },
  });
  registry.onChanged(({ app, version }) => void told.push(`${app} ${version}`));
  return registry;
}
const versionFolder = (app: string, version: string) => join(folder, 'apps', `${app}-${version}`);

before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-releases-'));
  for (const name of ['incoming', 'apps']) await mkdir(join(folder, name));
  world = await openTestInstallation({
    control: cluster.control,
    folder,
    override: ({ portability }) => ({
      portability,
      appVersions: {
        listApps: (db) => apps.forTenants.listApps(db),
        pinVersion: (...pin) => apps.forTenants.pinVersion(...pin),
        assign: (...to) => apps.forTenants.assign(...to),
        hold: (...to) => apps.forTenants.hold(...to),
      },
    }),
  });
  apps = openRegistry();
  await apps.start();
});
after(async () => {
  await apps.settled();
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function sourceOf(manifest: object, content = 'x'): Promise<string> {
  const source = await mkdtemp(join(folder, 'source-'));
  await writeFile(join(source, 'freehold.app.json'), JSON.stringify({ start: 'node .', ...manifest }));
  await writeFile(join(source, 'server.js'), content);
  return source;
}
async function packed(manifest: object, content?: string): Promise<Readable> {
  const source = await sourceOf(manifest, content);
  return packFolder(source, (await checkFolder(source)).entries);
}
async function add(manifest: object, content?: string) {
  const added = await apps.add(await packed(manifest, content), { notes: 'first', actor: 'os:test' });
  await apps.settled();
  return apps.get(added.app, added.version);
}
const events = async (subject: string) =>
  (
    await world.pool.query<{ name: string }>('SELECT name FROM audit_events WHERE subject = $1 ORDER BY position', [
      subject,
    ])
  ).map(({ name }) => name);
const waiting = () => readdir(join(folder, 'incoming'));

test('a version comes in, is built and is there', async () => {
  let open = () => {};
  gate = new Promise((resolve) => {
    open = resolve;
  });
  const before = await apps.add(await packed({ name: 'wiki', version: '1.0', build: 'make' }), {
    notes: 'n',
    actor: 'os:test',
  });
  assert.equal(before.state, 'building');
  assert.deepEqual(await waiting(), [`${before.digest}.tar`]);
  assert.equal(await apps.findNewestReady('wiki'), undefined);
  await assert.rejects(apps.remove('wiki', '1.0', 'os:test'), { code: 'FH_APP_VERSION_STATE' });
  open();
  gate = undefined;
  await apps.settled();
  const { build, archivePath, ...order } = orders.at(-1)!;
  assert.deepEqual(order, { app: 'wiki', version: '1.0', digest: before.digest });
  assert.equal(build, 'make');
  await assert.rejects(access(archivePath), 'nothing of it stays where it came in');
  const ready = (await apps.findNewestReady('wiki'))!;
  assert.deepEqual({ ...ready, addedAt: 0 }, { ...before, state: 'ready', addedAt: 0 });
  await access(join(versionFolder('wiki', '1.0'), 'server.js'));
  assert.deepEqual(await events('wiki 1.0'), ['app.version_added']);
  assert.deepEqual(told, ['wiki 1.0']);
});

test('the same content again changes nothing; other content is refused', async () => {
  const count = orders.length;
  const again = await add({ name: 'wiki', version: '1.0', build: 'make' });
  assert.deepEqual([again.state, orders.length], ['ready', count]);
  await assert.rejects(add({ name: 'wiki', version: '1.0', build: 'make' }, 'other'), { code: 'FH_APP_VERSION_TAKEN' });
  await assert.rejects(add({ name: 'sample', version: '1.0' }), { code: 'FH_APP_NAME_TAKEN' });
  await assert.rejects(apps.get('wiki', '2.0'), { code: 'FH_APP_NOT_FOUND' });
  assert.deepEqual(await waiting(), []);
  assert.deepEqual(await events('wiki 1.0'), ['app.version_added']);
});

test('a version whose folder is lost is built again from the same content', async () => {
  const before = await apps.get('wiki', '1.0');
  await rm(versionFolder('wiki', '1.0'), { recursive: true });
  assert.deepEqual(await add({ name: 'wiki', version: '1.0', build: 'make' }), before);
  await access(join(versionFolder('wiki', '1.0'), 'server.js'));
});

test('of two that come at once with different content one is there', async () => {
  const sent = await Promise.all(['a', 'b'].map((content) => packed({ name: 'race', version: '1' }, content)));
  const results = await Promise.allSettled(sent.map((content) => apps.add(content, { notes: '', actor: 'os:test' })));
  await apps.settled();
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.deepEqual(await waiting(), []);
});

test('a build that fails says why, and can be tried again with the same content', async () => {
  failure = new Error(`line one\nnpm error missing\0 thing`);
  const failed = await add({ name: 'broken', version: '1' });
  failure = undefined;
  assert.deepEqual([failed.state, failed.error], ['failed', 'line one\nnpm error missing thing']);
  assert.deepEqual(await waiting(), []);
  assert.equal(await apps.findNewestReady('broken'), undefined);
  await assert.rejects(add({ name: 'broken', version: '1' }, 'other'), { code: 'FH_APP_VERSION_TAKEN' });
  const mended = await add({ name: 'broken', version: '1' });
  assert.deepEqual([mended.state, mended.error], ['ready', undefined]);
  assert.deepEqual(await events('broken 1'), ['app.version_failed', 'app.version_added']);
});

test('who builds may come later', async () => {
  failure = new FreeholdError('FH_TEST', { status: 503, title: 'not there yet', retry: 'soon' });
  const added = await apps.add(await packed({ name: 'patient', version: '1' }), { notes: '', actor: 'os:test' });
  const tries = orders.length;
  await waitFor('another try', async () => orders.length > tries + 1);
  assert.equal((await apps.get('patient', '1')).state, 'building');
  failure = undefined;
  await apps.settled();
  assert.equal((await apps.get('patient', added.version)).state, 'ready');
});

test('what cannot be used leaves nothing', async () => {
  const before = await apps.list();
  const options = { notes: '', actor: 'os:test' };
  await assert.rejects(apps.add(Readable.from([Buffer.alloc(1_024)]), options), { code: 'FH_APP_CONTENT_INVALID' });
  await assert.rejects(apps.add(Readable.from([Buffer.from('no')]), options), { code: 'FH_APP_CONTENT_INVALID' });
  const cut = async function* () {
    yield Buffer.alloc(10);
    throw new Error('the sender went away');
  };
  await assert.rejects(apps.add(cut(), options), /went away/);
  assert.deepEqual(await waiting(), []);
  assert.deepEqual(await apps.list(), before);
});

async function run<K extends OperationKind>(
  kind: K,
  tenant: Tenant | undefined,
  input: OperationInputs[K],
): Promise<Operation> {
  const { operationId } = await world.lifecycle.startOperation(kind, tenant?.tenantId, input, 'os:test');
  const operation = await world.lifecycle.waitForOperation(operationId);
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  return operation;
}
async function create(name: string, app?: string): Promise<Tenant> {
  await run('create', undefined, { name, adminEmail: 'ada@example.com', ...(app && { app }) });
  return world.lifecycle.getTenant(name);
}

test('tenants of such an app run its newest version, each at a place of its own', async () => {
  await add({
    name: 'wiki',
    version: '2.0',
    identity: { kind: 'headers', publicPaths: ['/p/'] },
    limits: { bodyMb: 2, connections: 3 },
  });
  await add({ name: 'wiki', version: '1.5-late' });
  const [one, two] = [await create('one', 'wiki'), await create('two', 'wiki')];
  assert.deepEqual([one.appVersion, two.appVersion], ['1.5-late', '1.5-late'], 'newest is what was added last');
  const places = await Promise.all([one, two].map(({ tenantId }) => apps.findTenantApp(tenantId)));
  assert.deepEqual(
    places.map((found) => found?.place),
    [0, 1],
  );
  assert.deepEqual(
    (await apps.list('wiki')).map(({ version, tenants }) => [version, tenants]),
    [
      ['1.5-late', 2],
      ['2.0', 0],
      ['1.0', 0],
    ],
  );
  await world.pool.transaction((tx) => apps.assign(tx, two.tenantId, '2.0'));
  assert.equal((await world.lifecycle.getTenant('two')).appVersion, '2.0');
  assert.deepEqual((await world.directory.findRoute('two.localhost'))?.process, {
    version: '2.0',
    identity: { kind: 'headers', publicPaths: ['/p/'], redirectPaths: [], signedOutPaths: [] },
    healthPath: '/',
    bodyBytes: 2 * 1024 * 1024,
  });
  assert.equal(await apps.findConnectionLimit(two.databaseName!), 3);
  await assert.rejects(
    world.pool.transaction((tx) => apps.assign(tx, two.tenantId, '9')),
    { code: 'FH_APP_VERSION_STATE' },
  );
});

test('a tenant of an app inside the gateway has neither version nor process', async () => {
  const plain = await create('plain');
  assert.equal(plain.appVersion, undefined);
  assert.equal(await apps.findConnectionLimit(plain.databaseName!), undefined);
  assert.equal('process' in (await world.directory.findRoute('plain.localhost'))!, false);
  await assert.rejects(
    world.pool.transaction((tx) => apps.assign(tx, plain.tenantId, '2.0')),
    { code: 'FH_APP_NOT_FOUND' },
  );
});

test('an app that is not there is refused with those that are', async () => {
  failure = new Error('no');
  await add({ name: 'never', version: '1' });
  failure = undefined;
  for (const app of ['nothing', 'never', '__proto__'])
    await assert.rejects(
      world.lifecycle.startOperation(
        'create',
        undefined,
        { name: 'homeless', adminEmail: 'ada@example.com', app },
        'os:test',
      ),
      (error: { code?: string; hint?: string }) =>
        error.code === 'FH_TENANT_APP_UNKNOWN' &&
        /sample, broken, patient, race, wiki\b.*app add FOLDER/.test(error.hint ?? ''),
    );
});

test('a clone runs what its source runs, a restored and an imported tenant as well', async () => {
  const two = await world.lifecycle.getTenant('two');
  await run('clone', two, { newName: 'two-copy' });
  assert.equal((await world.lifecycle.getTenant('two-copy')).appVersion, '2.0');
  const moment = { kind: 'time', time: new Date(Date.now()).toISOString() } as const;
  await run('restore', two, { newName: 'two-before', moment });
  assert.equal((await world.lifecycle.getTenant('two-before')).appVersion, '2.0');
  const copies = ['two', 'two-copy', 'two-before'].map(async (name) => {
    const { tenantId } = await world.lifecycle.getTenant(name);
    return (await apps.findTenantApp(tenantId))?.place;
  });
  assert.equal(new Set(await Promise.all(copies)).size, 3);
});

test('what comes in an archive runs its version, or the newest when that is gone', async () => {
  const two = await world.lifecycle.getTenant('two');
  const { operationId } = await run('export', two, {});
  const archive = join(folder, 'exports', two.tenantId, `${operationId}.tar`);
  const { app } = await world.portability.inspectArchive(archive);
  assert.deepEqual(app, { name: 'wiki', version: '2.0' });
  const input = { archivePath: archive, app: app.name, createdFrom: two.tenantId };
  await run('import', undefined, { ...input, name: 'moved', appVersion: app.version });
  assert.equal((await world.lifecycle.getTenant('moved')).appVersion, '2.0');
  await run('import', undefined, { ...input, name: 'moved-late', appVersion: '0.1' });
  assert.equal((await world.lifecycle.getTenant('moved-late')).appVersion, '1.5-late');
  await assert.rejects(
    world.lifecycle.startOperation(
      'import',
      undefined,
      { ...input, name: 'moved-no', app: 'gone', appVersion: '1' },
      'os:test',
    ),
    /the archive belongs to "gone"/,
  );
});

test('a version that a tenant runs cannot be removed; when its last tenant is gone for good it can', async () => {
  const solo = await create('solo', 'race');
  await assert.rejects(apps.remove('race', '1', 'os:test'), { code: 'FH_APP_VERSION_IN_USE' });
  await run('delete', solo, {});
  await assert.rejects(apps.remove('race', '1', 'os:test'), { code: 'FH_APP_VERSION_IN_USE' }, 'it can be restored');
  await run('destroy', solo, {});
  await apps.remove('race', '1', 'os:test');
  await assert.rejects(access(versionFolder('race', '1')));
  await assert.rejects(apps.get('race', '1'), { code: 'FH_APP_NOT_FOUND' });
  assert.equal((await events('race 1')).at(-1), 'app.version_removed');
  assert.equal((await add({ name: 'race', version: '1' }, 'c')).state, 'ready', 'the name is free again');
  const next = await create('next', 'race');
  const { place } = (await apps.findTenantApp(next.tenantId))!;
  const [row] = await world.pool.query<{ last: number }>('SELECT max(place) AS last FROM tenant_apps');
  assert.equal(place, row?.last, 'no number comes back');
});

test('a control that was killed while it added a version finishes it or leaves nothing', async () => {
  for (const [point, left] of [
    ['releases.add.stored', 'nothing'],
    ['releases.add.recorded', 'built'],
    ['releases.install.done', 'built'],
  ] as const) {
    const version = point.replaceAll('.', '-');
    const source = await sourceOf({ name: 'killed', version });
    const child = spawn(process.execPath, [join(import.meta.dirname, 'add-version.fixture.ts')], {
      env: {
        ...process.env,
        ORDER: JSON.stringify({ control: cluster.control, incomingFolder: join(folder, 'incoming'), source, point }),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL', point);
    assert.equal((await waiting()).length, 1, point);
    const successor = openRegistry();
    await successor.start();
    await successor.settled();
    const found = (await successor.list('killed')).find((each) => each.version === version);
    assert.equal(found?.state, left === 'built' ? 'ready' : undefined, point);
    assert.deepEqual(await waiting(), []);
    if (left === 'built') assert.deepEqual(await events(`killed ${version}`), ['app.version_added']);
  }
});

test('a registry that stops leaves what is being built to its successor', async () => {
  const old = openRegistry();
  let open = () => {};
  gate = new Promise((resolve) => {
    open = resolve;
  });
  const options = { notes: '', actor: 'os:test' };
  await old.add(await packed({ name: 'late', version: '1' }), options);
  await old.add(await packed({ name: 'late', version: '2' }), options);
  await waitFor('the first build', async () => orders.at(-1)?.version === '1');
  failure = new Error('we stop');
  await old.stop();
  open();
  gate = undefined;
  await old.settled();
  failure = undefined;
  assert.deepEqual(
    (await old.list('late')).map(({ state }) => state),
    ['building', 'building'],
  );
  await assert.rejects(old.add(await packed({ name: 'late', version: '3' }), options), /stopped/);
  const successor = openRegistry();
  await successor.start();
  await successor.settled();
  assert.deepEqual(
    (await successor.list('late')).map(({ state }) => state),
    ['ready', 'ready'],
  );
});
