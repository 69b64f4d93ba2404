/** What backups are for: a tenant as it was, beside itself as it is; and everything, on an empty machine, from one region and the recovery kit. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setEdition } from './editions.ts';
import { type Client, Freehold, pgRestore, runLauncher, until } from './harness.ts';
import { listProcesses } from './processes.ts';

const password = 'seven slow ferries at low tide';
const mail = 'ada@example.com';

describe('backups', { timeout: 1_200_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fh-backups-'));
  chmodSync(folder, 0o711);
  const recovered = join(folder, 'recovered');
  const region = join(folder, 'region-b');
  const kitFile = join(folder, 'kit.txt');
  let freehold: Freehold;
  let again: Freehold | undefined;
  const clients: Client[] = [];
  let moment: string;

  before(async () => {
    freehold = await Freehold.start();
    for (const name of ['northwind', 'southwind']) {
      const client = await freehold.signUp(await freehold.createTenant(name, mail), password);
      clients.push(client);
      const made = await client.send('POST', '/api/projects', { key: 'SUP', name: `Support of ${name}` });
      assert.equal(made.status, 201, made.text);
      await addItem(client, `first of ${name}`);
    }
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await freehold?.stop().catch(() => {});
    await again?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const json = async (...args: string[]) => {
    const result = await freehold.run(...args, '--json');
    assert.equal(result.code, 0, result.stderr);
    return JSON.parse(result.stdout);
  };

  /** Dumps and verifications that come by themselves have servers there too, which end. */
  const scratchIsEmpty = (what: string) =>
    until(what, async () => readdirSync(join(freehold.dataDir, 'scratch')).length === 0, 120_000);

  it('says that there is none yet, and what it would need', async () => {
    assert.deepEqual(await json('backup', 'list'), { backups: [], away: [] });
    const early = await freehold.run(
      'restore',
      'northwind',
      '--to',
      new Date(Date.now() - 1_000).toISOString(),
      '--json',
    );
    assert.equal(early.code, 1);
    assert.match(early.stderr, /FH_BACKUP_NOT_RESTORABLE/);
    const names = (await json('tenant', 'list')).tenants.map((tenant: { name: string }) => tenant.name);
    assert.deepEqual(names.sort(), ['northwind', 'southwind']);
  });

  it('takes a base backup into both regions, and what has not changed only once', async () => {
    const first = await json('backup', 'run');
    assert.deepEqual([first.state, first.backup.regions, first.backup.suspect], ['succeeded', ['a', 'b'], false]);
    const second = await json('backup', 'run');
    // How many, time decides: in its first minutes autovacuum analyses each database once, which writes its pg_statistic.
    assert.ok(second.unchangedDatabases > 0, JSON.stringify(second));
    assert.ok(second.writtenBytes < second.backup.storedBytes, JSON.stringify(second));
    assert.equal((await json('backup', 'list')).backups.length, 2);
  });

  it('says what is too old and who needs the rest, and removes nothing that the restores below need', async () => {
    const dry = await json('backup', 'prune', '--dry-run');
    const states = (run: { regions: { region: string; state: string }[] }) =>
      run.regions.map(({ region: name, state }) => `${name} ${state}`);
    assert.deepEqual([dry.days, states(dry)], [180, ['a done', 'b done']]);
    assert.ok(
      dry.regions[0].keep.some(({ neededBy }: { neededBy: string }) => /replayed from backup bak_/.test(neededBy)),
    );
    assert.equal((await freehold.run('backup', 'prune')).code, 2, 'not without --yes');
    const real = await json('backup', 'prune', '--yes');
    assert.deepEqual(states(real), ['a done', 'b done']);
    // From before the first backup: of use to nobody.
    for (const { remove } of real.regions)
      assert.deepEqual(
        remove.filter(({ kind }: { kind: string }) => kind !== 'WAL'),
        [],
      );
    assert.equal((await json('backup', 'list')).backups.length, 2);
    const { retention } = await json('status');
    assert.deepEqual(
      retention.map((run: { region: string; finishedAt?: string }) => [run.region, typeof run.finishedAt]),
      [
        ['a', 'string'],
        ['b', 'string'],
      ],
    );
  });

  it('lets an owner have the newest dump, plain, as pg_restore reads it', async () => {
    assert.equal((await json('backup', 'dump', 'northwind')).state, 'succeeded');
    const [north, south] = clients as [Client, Client];
    const confirm = (client: Client, secret: string) =>
      client.send('POST', '/-/api/backups/confirmations', { password: secret });
    assert.equal((await confirm(north, 'another password')).status, 403);
    const confirmed = async () => {
      const { status, json: answer, text } = await confirm(north, password);
      assert.equal(status, 201, text);
      return answer.confirmation;
    };
    const stolen = await south.send('POST', '/-/api/backups/download', { confirmation: await confirmed() });
    assert.equal(stolen.status, 403, 'of one session of one tenant');
    const confirmation = await confirmed();
    const dump = await north.send('POST', '/-/api/backups/download', { confirmation });
    assert.equal(dump.status, 200, dump.text.slice(0, 300));
    assert.match(String(dump.headers['content-disposition']), /filename="northwind-\d{4}-\d\d-\d\d\.dump"/);
    const file = join(folder, 'northwind.dump');
    writeFileSync(file, dump.bytes);
    const list = spawnSync(pgRestore(), ['--list', file], { encoding: 'utf8' });
    assert.equal(list.status, 0, list.stderr);
    assert.match(list.stdout, /TABLE DATA app items /);
    const again = await north.send('POST', '/-/api/backups/download', { confirmation });
    assert.equal(again.status, 403, 'once');
  });

  it('takes a new key and a promise to lose nothing while people write', async () => {
    const [north] = clients as [Client];
    const { keyId } = await json('rotate-key');
    assert.match(keyId, /^clu_\w+\.2$/);
    await json('tenant', 'set', 'northwind', '--recovery-point', 'zero');
    assert.equal((await json('tenant', 'show', 'northwind')).recoveryPoint, 'zero');
    await addItem(north, 'zero of northwind');
    await json('tenant', 'set', 'northwind', '--recovery-point', 'second');
    assert.equal((await json('tenant', 'show', 'northwind')).recoveryPoint, 'second');
  });

  it('brings one tenant back to a moment, beside itself, and touches nobody else', async () => {
    const [north, south] = clients as [Client, Client];
    await addItem(north, 'second of northwind');
    moment = await betweenCommits();
    await addItem(north, 'too late');
    await addItem(south, 'second of southwind');
    const restored = await json('restore', 'northwind', '--to', moment);
    assert.equal(restored.name, 'northwind-restored');
    const copy = await freehold.tenantClient('northwind-restored');
    clients.push(copy);
    assert.equal((await copy.get('/-/api/session')).status, 401, 'no session came along');
    assert.equal((await copy.send('POST', '/-/api/session', { email: mail, password })).status, 201);
    assert.deepEqual(await titles(copy), ['first of northwind', 'zero of northwind', 'second of northwind']);
    assert.deepEqual(await titles(north), [
      'first of northwind',
      'zero of northwind',
      'second of northwind',
      'too late',
    ]);
    assert.deepEqual(await titles(south), ['first of southwind', 'second of southwind']);
    await scratchIsEmpty('nothing stays of the scratch server');
  });

  it('refuses what cannot be, in words', async () => {
    const refused = async (code: string, ...args: string[]) => {
      const result = await freehold.run('restore', ...args, '--json');
      assert.notEqual(result.code, 0);
      assert.match(result.stderr, new RegExp(code), result.stderr);
    };
    await refused('FH_RESTORE_MOMENT_INVALID', 'northwind', '--to', '2026-11-22T03:00:00', '--as', 'copy-1');
    await refused('FH_RESTORE_MOMENT_INVALID', 'northwind', '--to', '2999-01-01T00:00:00Z', '--as', 'copy-2');
    await refused('FH_TENANT_NAME_TAKEN', 'northwind', '--to', moment, '--as', 'southwind');
    await refused('FH_TENANT_NOT_FOUND', 'nobody', '--to', moment, '--as', 'copy-3');
    await refused('FH_BACKUP_NOT_RESTORABLE', 'northwind', '--to', '2020-01-01T00:00:00Z', '--as', 'copy-4');
  });

  it('restores a backup and rebuilds everything to see whether it can, each from one region alone', async () => {
    // Compared like everybody else, and closed to its users all the while.
    await json('tenant', 'suspend', 'southwind');
    const verified = await json('backup', 'verify', '--region', 'a');
    assert.deepEqual([verified.passed, verified.findings, verified.region], [true, [], 'a']);
    // Whoever is written to just now has his turn later; whoever was made since the backup may not be in it.
    assert.ok(verified.checked.tenants + verified.checked.busyTenants >= 2, JSON.stringify(verified));
    const drill = await json('drill', '--region', 'b');
    assert.deepEqual([drill.passed, drill.findings, drill.region], [true, [], 'b']);
    assert.ok(drill.recoveryPointMs >= 0 && drill.recoveryTimeMs > 0);
    const { tenants } = await json('tenant', 'list', '--state', 'active');
    assert.equal(drill.checked.ofTenants, tenants.length + 1);
    assert.equal((await clients[1]!.get('/api/items?project=SUP')).status, 503);
    await json('tenant', 'resume', 'southwind');
    const { checks } = await json('status');
    assert.deepEqual([checks.lastVerification.passed, checks.lastDrill.passed], [true, true]);
    await scratchIsEmpty('nothing stays of either');
  });

  it('brings a tenant back that was deleted by mistake, to its own address, with the file of the last moment', async () => {
    const doomed = clients[2]!;
    const boundary = 'freehold-test';
    const file = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="last.txt"\r\ncontent-type: text/plain\r\n\r\nthe last words\r\n--${boundary}--\r\n`;
    const type = { 'content-type': `multipart/form-data; boundary=${boundary}` };
    const upload = await doomed.send('POST', '/api/items/SUP-1/attachments', Buffer.from(file), type);
    assert.equal(upload.status, 201, upload.text);
    const deleted = await json('tenant', 'delete', 'northwind-restored', '--confirm', 'northwind-restored');
    assert.equal(deleted.certificate.destroyed.key.destroyed, false);
    assert.equal((await doomed.get('/-/api/session')).status, 410);

    const back = await json('restore', 'northwind-restored', '--before', 'delete');
    assert.equal(back.name, 'northwind-restored');
    assert.notEqual(back.tenantId, deleted.tenantId);
    const again = await freehold.tenantClient('northwind-restored');
    clients.push(again);
    assert.equal((await again.send('POST', '/-/api/session', { email: mail, password })).status, 201);
    assert.deepEqual(await titles(again), ['first of northwind', 'zero of northwind', 'second of northwind']);
    const { attachments } = (await again.get('/api/items/SUP-1/attachments')).json;
    assert.equal((await again.get(attachments[0].url)).text, 'the last words');

    // Its end, at once: nobody brings it back any more.
    const ended = await json('tenant', 'delete', deleted.tenantId, '--confirm', 'northwind-restored', '--now');
    assert.equal(ended.certificate.destroyed.key.destroyed, true);
    assert.deepEqual(
      ended.certificate.copies.map((copy: { tenantId: string }) => copy.tenantId),
      [back.tenantId],
    );
    const late = await freehold.run('restore', deleted.tenantId, '--before', 'delete', '--as', 'late', '--json');
    assert.match(late.stderr, /FH_KEY_DESTROYED/);
  });

  it('is rebuilt on an empty machine from one region and the kit alone', async () => {
    const { kit } = await json('recovery-kit', '--yes');
    writeFileSync(kitFile, kit);
    const [north] = clients as [Client];
    await addItem(north, 'the last one');
    setEdition(freehold, 'northwind', 'private-cloud');
    await json('plugin', 'add', 'northwind', 'test/apps/plugin');
    await json('plugin', 'run', 'northwind', 'newcomers');
    await until('both regions to have it', async () => {
      const { clusters } = await json('status');
      return clusters[0].shipping.regions.every((each: { behindBytes: number }) => each.behindBytes === 0);
    });
    for (const { pid } of listProcesses(freehold)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended with another.
      }
    }
    await freehold.stop({ keepData: true });
    // What is left of it all.
    cpSync(join(freehold.dataDir, 'regions', 'b'), region, { recursive: true });
    rmSync(freehold.dataDir, { recursive: true, force: true });

    const wrong = kit.replace(/(\n\s+1 )\w{5}/, '$1AAAAA');
    writeFileSync(join(folder, 'wrong.txt'), wrong);
    const mistyped = await recover('wrong.txt');
    assert.equal(mistyped.code, 1);
    assert.match(mistyped.stderr, /FH_RECOVERY_KIT/);
    rmSync(recovered, { recursive: true, force: true });

    const result = await recover('kit.txt');
    assert.equal(result.code, 0, result.stderr);
    assert.equal(JSON.parse(result.stdout).tenants >= 2, true, result.stdout);
    again = await Freehold.start({ dataDir: recovered, env: { FREEHOLD_REGION_B: region } });
    for (const [name, expected] of [
      ['northwind', ['first of northwind', 'zero of northwind', 'second of northwind', 'too late', 'the last one']],
      ['southwind', ['first of southwind', 'second of southwind']],
    ] as const) {
      const client = await again.tenantClient(name);
      clients.push(client);
      assert.equal((await client.send('POST', '/-/api/session', { email: mail, password })).status, 201);
      assert.deepEqual(await titles(client), expected);
    }
    const status = JSON.parse((await again.run('status', '--json')).stdout);
    assert.deepEqual(
      status.clusters[0].shipping.regions.map((each: { region: string }) => each.region),
      ['a', 'b'],
    );

    // Plugins write to other systems: not before somebody says that this is the installation from now on.
    const plugins = await again.run('plugin', 'list', 'northwind', '--json');
    assert.equal(JSON.parse(plugins.stdout).plugins[0].state, 'disabled', plugins.stderr);
    assert.match((await again.run('plugin', 'run', 'northwind', 'newcomers')).stderr, /disabled/);
    assert.equal((await again.run('plugin', 'enable', 'northwind', 'newcomers')).code, 0);
    const ran = await again.run('plugin', 'run', 'northwind', 'newcomers', '--json');
    assert.equal(JSON.parse(ran.stdout || '{}').result?.status, 200, ran.stderr);
  });

  function recover(kit: string) {
    return runLauncher(
      ['recover', '--region', `b=${region}`, '--kit', join(folder, kit), '--data', recovered, '--json'],
      {},
    );
  }
});

async function addItem(client: Client, title: string): Promise<void> {
  const made = await client.send('POST', '/api/items', { project: 'SUP', title });
  assert.equal(made.status, 201, made.text);
}

async function titles(client: Client): Promise<string[]> {
  const { json } = await client.get('/api/items?project=SUP&sort=key');
  return json.items.map((item: { title: string }) => item.title);
}

/** Now, with some time to the commits before and after it. */
async function betweenCommits(): Promise<string> {
  const pause = () => {
    const begun = Date.now();
    return until('the clock to go on', async () => Date.now() - begun > 20);
  };
  await pause();
  const moment = new Date().toISOString();
  await pause();
  return moment;
}
