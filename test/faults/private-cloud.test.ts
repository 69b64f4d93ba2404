/**
 * Tenants of the Private Cloud edition: a PostgreSQL server and a standby of their own, shipped, backed up and restored like the main one, and gone with them. The
 * same e-mails and ids in both editions.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { foldersOf } from '#src/main/folders.ts';
import { Freehold, runLauncher, until } from '../acceptance/harness.ts';
import { newName } from './support/lifecycle.ts';
import { checkWrites, startReader, startWriters } from './support/load.ts';
import {
  command,
  contentOf,
  createTenant,
  finish,
  type Installation,
  type Json,
  sent,
  signIn,
  type Tenant,
} from './support/operator.ts';
import { askAsSuperuser } from './support/superuser.ts';

let freehold: Freehold;
let at: Installation;
let acme: Tenant;
let globex: Tenant;
const env = { FREEHOLD_STANDBY: 'on', FREEHOLD_PREPARED_DATABASES: '0', FREEHOLD_DELETION_GRACE_DAYS: '1' };
before(async () => {
  freehold = await Freehold.start({ env });
  at = { dataDir: freehold.dataDir, port: freehold.port };
  globex = await createTenant(at, newName());
  acme = await createTenant(at, newName(), { edition: 'private-cloud' });
});
after(async () => {
  await acme?.client.close();
  await globex?.client.close();
  await freehold?.stop();
});

const status = async (): Promise<Json> => (await command(at, 'GET', '/api/health')).json;
const clustersIn = (): string[] => readdirSync(foldersOf(at.dataDir).clusters);
const postmasterOf = (cluster: string): number =>
  Number(readFileSync(join(foldersOf(at.dataDir, cluster).cluster, 'postmaster.pid'), 'utf8').split('\n')[0]);
/** With milliseconds, and after everything that was answered until now. */
const now = (): string => new Date().toISOString();

test('its database is on a server of its own, and no other server knows it', async () => {
  const { json } = await command(at, 'GET', `/api/tenants/${acme.tenantId}`);
  assert.equal(json.edition, 'private-cloud');
  const [cluster, ...others] = clustersIn();
  assert.deepEqual(others, []);
  assert.ok(json.databaseName.endsWith(`_${cluster}`));
  const onMain = await askAsSuperuser(at, 'SELECT datname FROM pg_database');
  assert.ok(!onMain.includes(json.databaseName));
  assert.deepEqual(await askAsSuperuser(at, `SELECT rolname FROM pg_roles WHERE rolname LIKE '%${cluster}%'`), []);
  // And the other way round: of its roles the server knows its own and nobody else's.
  const roles = await askAsSuperuser(
    at,
    `SELECT rolname FROM pg_roles WHERE rolname LIKE 't\\_%'`,
    'postgres',
    cluster,
  );
  assert.deepEqual(new Set(roles.map((role) => role.slice(0, json.databaseName.length))), new Set([json.databaseName]));
});

test('it has a standby that follows, and its log comes to both regions', async () => {
  const cluster = await until('the standby to follow and the log to be shipped', async () => {
    const found = (await status()).clusters.find(({ name }: Json) => name !== 'main');
    const shipped = found?.shipping?.regions ?? [];
    const isThere = shipped.length === 2 && shipped.every(({ behindBytes }: Json) => behindBytes === 0);
    return found?.standby?.state === 'following' && isThere ? found : undefined;
  });
  assert.equal(cluster.state, 'up');
  assert.deepEqual(
    cluster.shipping.regions.map(({ region, state }: Json) => [region, state]),
    [
      ['a', 'shipping'],
      ['b', 'shipping'],
    ],
  );
});

test('it is restored to a moment, on the same server, and nobody else is touched', async () => {
  const others = await contentOf(globex.client);
  const wanted = await contentOf(acme.client);
  const time = await until('a moment that can be restored', async () => {
    const { json } = await command(at, 'GET', '/api/backups');
    return json.backups.some(({ cluster }: Json) => cluster) ? now() : undefined;
  });
  await sent(acme.client, 'POST', `/api/items/${acme.itemId}/comments`, { body: 'too late' });
  assert.notEqual(await contentOf(acme.client), wanted);
  const name = newName();
  const { tenantId } = await finish(at, `/api/tenants/${acme.tenantId}/restore`, {
    newName: name,
    moment: { kind: 'time', time },
  });
  const client = await signIn(at, name);
  assert.equal(await contentOf(client), wanted);
  assert.equal(await contentOf(globex.client), others);
  const { json } = await command(at, 'GET', `/api/tenants/${tenantId}`);
  assert.equal(json.edition, 'private-cloud');
  assert.equal(clustersIn().length, 1);
  await client.close();
  await finish(at, `/api/tenants/${tenantId}/delete`, { confirm: name, now: true });
});

test('its base backup is restored from each region and compared with what its own server holds, and a drill rebuilds it', async () => {
  const [cluster] = clustersIn();
  await until('a base backup that was begun when the tenant was there', async () => {
    const { json } = await command(at, 'GET', '/api/backups');
    return json.backups.filter((each: Json) => each.cluster === cluster).length > 1;
  });
  for (const region of ['a', 'b']) {
    const { code, stdout, stderr } = await freehold.run(
      ...['backup', 'verify', '--cluster', cluster!, '--region', region, '--json'],
    );
    assert.equal(code, 0, stderr + stdout);
    const { passed, cluster: of, checked } = JSON.parse(stdout);
    assert.deepEqual([passed, of, checked.tenants, checked.ofTenants], [true, cluster, 1, 1]);
    assert.ok(checked.rows > 0);
  }
  const { regions, privateServers } = (await status()).checks;
  assert.deepEqual(
    privateServers.map((each: Json) => [
      each.cluster,
      each.regions.map((region: Json) => region.lastVerification.passed),
    ]),
    [[cluster, [true, true]]],
  );
  // It says nothing about the shared server.
  for (const { lastVerification } of regions) assert.equal(lastVerification, undefined);
  const drill = await freehold.run('drill', '--cluster', cluster!, '--json');
  assert.equal(drill.code, 0, drill.stderr + drill.stdout);
  const { passed, cluster: of, checked, recoveryPointMs } = JSON.parse(drill.stdout);
  assert.deepEqual([passed, of, checked.tenants, checked.ofTenants], [true, cluster, 1, 1]);
  assert.ok(recoveryPointMs < 10_000, `${recoveryPointMs} ms`);
  const { stderr } = await freehold.run('backup', 'verify', '--cluster', 'nobody', '--json');
  assert.equal(JSON.parse(stderr).error.code, 'FH_VERIFICATION_UNKNOWN_SERVER');
});

test('when its server is killed, it comes back by itself, and the others have not noticed', async () => {
  const [cluster] = clustersIn();
  const wanted = await contentOf(acme.client);
  const killed = postmasterOf(cluster!);
  process.kill(killed, 'SIGKILL');
  assert.equal((await globex.client.get('/api/items')).status, 200);
  await until('another postmaster', async () => {
    try {
      return postmasterOf(cluster!) !== killed;
    } catch {
      return false;
    }
  });
  await until('the tenant to be served', async () => (await acme.client.get('/api/items')).status === 200);
  assert.equal(await contentOf(acme.client), wanted);
});

test('a restart of everything brings it back; a server that is missing is not made anew', async () => {
  const wanted = await contentOf(acme.client);
  const { clusters } = foldersOf(at.dataDir);
  const [cluster] = clustersIn();
  await freehold.stop({ keepData: true });
  // The disk that it lies on is not mounted.
  renameSync(clusters, `${clusters}-away`);
  freehold = await Freehold.start({ env, dataDir: at.dataDir, port: at.port });
  await until('it to be refused', async () => (await acme.client.get('/api/items')).status === 503);
  assert.equal((await globex.client.get('/api/items')).status, 200);
  assert.equal((await status()).clusters.find(({ name }: Json) => name === cluster).state, 'down');
  assert.deepEqual(clustersIn(), []);
  await freehold.stop({ keepData: true });
  rmSync(clusters, { recursive: true });
  renameSync(`${clusters}-away`, clusters);
  freehold = await Freehold.start({ env, dataDir: at.dataDir, port: at.port });
  assert.equal(await until('it to be served', () => contentOf(acme.client).catch(() => undefined)), wanted);
});

async function takeBackup(): Promise<void> {
  await command(at, 'POST', '/api/backups', {});
  await until('a base backup', async () => {
    const { json } = await command(at, 'GET', '/api/backups/latest-run');
    assert.notEqual(json.run?.state, 'failed', JSON.stringify(json));
    return json.run?.state === 'succeeded';
  });
}

/** Custom plugins belong to the edition, and go on with the server that the tenant is on (0045). */
async function checkPlugins(name: string, edition: string): Promise<void> {
  const plugin = (act: string, ...args: string[]) => freehold.run('plugin', act, name, ...args, '--json');
  if (edition === 'private-cloud') {
    const added = await plugin('add', 'test/apps/plugin');
    assert.equal(added.code, 0, added.stderr);
    const { stdout, stderr } = await plugin('run', 'newcomers');
    assert.equal(JSON.parse(stdout || '{}').result?.status, 200, stderr);
  } else {
    assert.equal(JSON.parse((await plugin('run', 'newcomers')).stderr).error.code, 'FH_PLUGIN_EDITION');
    assert.equal(JSON.parse((await plugin('list')).stdout).plugins[0].state, 'stopped');
  }
}

test('it moves from the shared server to one of its own and back while it is in use: no request fails, nothing is lost, nobody is signed out', async (context) => {
  const mover = await createTenant(at, newName());
  await takeBackup();
  const beforeMove = await contentOf(mover.client);
  const time = now();

  // The same clients with the sessions from before, all the time.
  const writers = startWriters([mover, globex]);
  const readers = [mover, globex].map((tenant) => startReader(tenant));
  for (const [order, edition] of [
    [{ edition: 'private-cloud' }, 'private-cloud'],
    [{ undo: true }, 'standard'],
  ] as const) {
    await finish(at, `/api/tenants/${mover.tenantId}/move`, order);
    const { json } = await command(at, 'GET', `/api/tenants/${mover.tenantId}`);
    assert.equal(json.edition, edition);
    assert.equal(json.databaseName.includes('_c'), edition === 'private-cloud');
    await checkPlugins(mover.name, edition);
  }
  await Promise.all([writers, ...readers].map((people) => people.stop()));
  assert.deepEqual([...writers.refusals], []);
  for (const { failures } of readers) assert.deepEqual(failures, []);
  const { checked, lost, doubled } = await checkWrites([mover, globex], writers.acknowledged);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
  context.diagnostic(`${checked} writes and ${readers.map(({ requests }) => requests).join(' + ')} reads meanwhile`);

  // A moment from before the moves lies in the backups of the server that it was on then.
  const name = newName();
  await finish(at, `/api/tenants/${mover.tenantId}/restore`, { newName: name, moment: { kind: 'time', time } });
  const then = await signIn(at, name);
  assert.equal(await contentOf(then), beforeMove);
  await then.close();

  const { status: confirmed } = await command(at, 'POST', `/api/tenants/${mover.tenantId}/move/confirm`, {});
  assert.equal(confirmed, 204);
  const { json } = await command(at, 'POST', `/api/tenants/${mover.tenantId}/move`, { undo: true });
  assert.equal(json.code, 'FH_MOVE_CONFIRMED');
  await finish(at, `/api/tenants/${mover.tenantId}/delete`, { confirm: mover.name, now: true });
  assert.equal(clustersIn().length, 1, 'only that of the other tenant');
  await mover.client.close();
});

async function servedContent({ dataDir, port }: Freehold, name: string): Promise<string> {
  const client = await until('somebody to be let in', () => signIn({ dataDir, port }, name).catch(() => undefined));
  try {
    return await contentOf(client);
  } finally {
    await client.close();
  }
}

test('everything is rebuilt from one region and the kit alone, its server too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fh-private-'));
  chmodSync(folder, 0o755);
  const wanted = await Promise.all([acme, globex].map(({ client }) => contentOf(client)));
  const kit = await freehold.run('recovery-kit', '--yes', '--json');
  writeFileSync(join(folder, 'kit.txt'), JSON.parse(kit.stdout).kit);
  await until('everything to be in both regions', async () =>
    (await status()).clusters.every(({ shipping }: Json) =>
      shipping.regions.every(({ behindBytes }: Json) => behindBytes === 0),
    ),
  );
  await freehold.stop({ keepData: true });
  try {
    // What is left of it all.
    const region = join(folder, 'b');
    execFileSync('cp', ['-a', join(at.dataDir, 'regions', 'b'), region]);
    // Too long for sockets, which lie elsewhere then.
    const dataDir = join(folder, 'recovered in a folder with a name that is longer than most');
    const { code, stdout, stderr } = await runLauncher(
      ['recover', '--region', `b=${region}`, '--kit', join(folder, 'kit.txt'), '--data', dataDir, '--json'],
      {},
    );
    assert.equal(code, 0, stderr);
    const { privateServers, missingServers } = JSON.parse(stdout);
    assert.deepEqual([privateServers, missingServers], [clustersIn(), []]);
    const again = await Freehold.start({ env: { ...env, FREEHOLD_REGION_B: region }, dataDir });
    try {
      assert.deepEqual(await Promise.all([acme, globex].map(({ name }) => servedContent(again, name))), wanted);
      await until('the log of both servers to go on', async () => {
        const { json } = await command({ dataDir, port: again.port }, 'GET', '/api/health');
        const goesOn = ({ shipping }: Json) => shipping?.regions.some(({ state }: Json) => state === 'shipping');
        return json.clusters.length === 2 && json.clusters.every(goesOn);
      });
    } catch (error) {
      throw new Error(`the rebuilt installation: ${again.readTroubles()}`, { cause: error });
    } finally {
      await again.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    freehold = await Freehold.start({ env, dataDir: at.dataDir, port: at.port });
  }
  await until('it to be served', () => contentOf(acme.client).catch(() => undefined));
});

test('when it is deleted for good, its server, its folders and the key of its log are gone', async () => {
  const [cluster] = clustersIn();
  const regions = ['a', 'b'].map((region) => join(at.dataDir, 'regions', region, 'keys'));
  const keysIn = (folder: string): string[] =>
    readdirSync(folder).filter((owner) => owner.startsWith('clu_') && readdirSync(join(folder, owner)).length > 0);
  assert.deepEqual(
    regions.map((folder) => keysIn(folder).length),
    [2, 2],
  );
  await finish(at, `/api/tenants/${acme.tenantId}/delete`, { confirm: acme.name });
  assert.ok(existsSync(foldersOf(at.dataDir, cluster).cluster), 'it can still be restored');
  await finish(at, `/api/tenants/${acme.tenantId}/delete`, { confirm: acme.name, now: true });
  assert.deepEqual(clustersIn(), []);
  assert.ok(!existsSync(foldersOf(at.dataDir, cluster).databaseSecret));
  assert.deepEqual(
    readdirSync(foldersOf(at.dataDir).control).filter((name) => name.includes(cluster!)),
    [],
  );
  assert.deepEqual(
    regions.map((folder) => keysIn(folder).length),
    [1, 1],
  );
  assert.equal((await globex.client.get('/api/items')).status, 200);
  assert.deepEqual(
    (await status()).clusters.map(({ name }: Json) => name),
    ['main'],
  );
});
