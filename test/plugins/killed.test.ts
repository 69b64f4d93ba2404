/** Control killed while plugins are added, removed and told of events: nothing is half there, and nothing that happened is lost. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantId } from '#src/kernel/index.ts';
import { endInterrupted, readPluginSource } from '#src/plugins/index.ts';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../support/installation.ts';
import { openTestPlugins, type PluginChildOrder } from './child.ts';

let cluster: TestCluster;
let folder: string;
let installation: TestInstallation;
let tenantId: TenantId;
let plugins: ReturnType<typeof openTestPlugins>;
let versions = 0;

before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'fh-killed-plugins-'));
  installation = await openTestInstallation({ control: cluster.control, folder });
  const order = { name: 'acme', adminEmail: 'ada@example.com' };
  const begun = await installation.lifecycle.startOperation('create', undefined, order, 'os:test');
  await installation.lifecycle.waitForOperation(begun.operationId);
  tenantId = begun.tenantId;
  await installation.pool.query(`UPDATE tenants SET edition = 'private-cloud' WHERE tenant_id = $1`, [tenantId]);
  plugins = openTestPlugins(installation, folder);
});
after(async () => {
  await dropTestTenants(installation);
  await installation.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function packageOf(change: object = {}): Promise<Buffer> {
  const at = join(folder, `source-${++versions}`);
  await mkdir(at);
  await writeFile(join(at, 'main.mjs'), `export default () => ${versions};`);
  const manifest = { name: 'probe', version: `${versions}`, entry: 'main.mjs', ...change };
  await writeFile(join(at, 'freehold.plugin.json'), JSON.stringify(manifest));
  return readPluginSource(at);
}

async function killedAt(failpoint: string, act: PluginChildOrder['act'], content = ''): Promise<void> {
  const order: PluginChildOrder = {
    installation: { control: cluster.control, folder },
    failpoint,
    tenantId,
    act,
    content,
  };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'child.ts'), JSON.stringify(order)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGKILL', `${failpoint} was not reached`);
  await endInterrupted(installation.pool);
}

const count = async (table: string) =>
  Number((await installation.pool.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`))[0]!.n);
const keep = () =>
  installation.databases.platform.transact(tenantId, (db) =>
    db.query(
      `INSERT INTO freehold.plugin_state (plugin, key, value) VALUES ('probe', 'k', '1') ON CONFLICT DO NOTHING`,
    ),
  );
const tenant = () => installation.lifecycle.getTenant(tenantId);

test('killed when an added plugin is recorded and not laid out: it is laid out before it runs', async () => {
  const content = await packageOf();
  await killedAt('plugins.add.recorded', 'add', content.toString('base64'));
  const [added] = await plugins.registry.list(tenantId);
  assert.equal(added?.state, 'enabled');
  assert.ok(!existsSync(join(plugins.packages, added.digest)));
  await plugins.registry.ensureLaidOut(added.digest);
  assert.ok(existsSync(join(plugins.packages, added.digest)));
});

test('killed when what it kept is deleted: the plugin is there still, and goes when it is removed again', async () => {
  await keep();
  await killedAt('plugins.remove.state_deleted', 'remove');
  assert.equal((await plugins.registry.list(tenantId)).length, 1);
  await plugins.registry.remove(await tenant(), 'probe', { actor: 'os:test', keepState: false });
  assert.deepEqual([await count('plugins'), await count('plugin_packages')], [0, 0]);
  assert.deepEqual(await readdir(plugins.packages), []);
});

for (const failpoint of ['plugins.remove.recorded', 'plugins.package.forgotten'])
  test(`killed at ${failpoint}: what is left is room, and the books say the truth`, async () => {
    const added = await plugins.registry.add(await tenant(), await packageOf(), 'os:test');
    await killedAt(failpoint, 'remove');
    assert.deepEqual(await plugins.registry.list(tenantId), []);
    await plugins.registry.sweep();
    assert.equal(await count('plugin_packages'), 0);
    const [event] = await installation.pool.query<{ n: string }>(
      `SELECT count(*) AS n FROM audit_events WHERE name = 'plugin.removed' AND details->>'digest' = $1`,
      [added.digest],
    );
    assert.equal(Number(event!.n), 1);
  });

test('killed between a run and its note: events are handed over again, none is lost', async () => {
  await plugins.registry.add(
    await tenant(),
    await packageOf({ capabilities: { events: ['user.invited'] } }),
    'os:test',
  );
  for (const subject of ['one', 'two'])
    await installation.databases.platform.transact(tenantId, (db) =>
      recordTenantAudit(db, { name: 'user.invited', actor: 'system', subject }),
    );
  await killedAt('plugins.events.handled', 'events');
  await plugins.schedule.look();
  await plugins.schedule.look();
  assert.equal(readFileSync(join(folder, 'handed'), 'utf8'), 'one\ntwo\none\ntwo\n');
  assert.deepEqual(plugins.handed, ['one', 'two']);
});
