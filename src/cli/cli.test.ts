import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { controlAuditLog } from '#src/audit/index.ts';
import { type ConsoleApiDeps, consoleApi } from '#src/console-api/index.ts';
import { createFleetDrift, createFleetRuns } from '#src/fleet/index.ts';
import { createHttpApp } from '#src/http/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { verifyDocument } from '#src/keys/index.ts';
import { createStandings } from '#src/releases/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { openTestRollouts } from '../../test/support/rollouts.ts';
import { runCli } from './index.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let app: ReturnType<typeof createHttpApp>;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-cli-'));
  // As with an external server: there is one edition.
  const override = () => ({ privateServers: undefined });
  world = await openTestInstallation({ control: cluster.control, folder: join(folder, 'data'), override });
  app = createHttpApp({ name: 'command', log: silentLog, clock: systemClock, hsts: false });
  const fleetDeps = { db: world.pool, databases: world.admin, folders: new Map(), clock: systemClock, log: silentLog };
  const deps: ConsoleApiDeps = {
    lifecycle: world.lifecycle,
    portability: world.portability,
    db: world.pool,
    auditLog: controlAuditLog,
    actorOf: () => 'os:root',
    requireStepUp: async () => {},
    confirmSignedIn: async () => {},
    tenantUrl: (name) => `https://${name}.localhost:8443`,
    fleetReport: async () => ({ tenants: [] }),
    fleet: createFleetRuns(fleetDeps),
    drift: createFleetDrift(fleetDeps),
    rollouts: openTestRollouts(world),
    standings: createStandings({ db: world.pool }),
    apps: { list: async () => [] },
  };
  await app.register(consoleApi(deps));
  mkdirSync(join(folder, 'data/run/control'), { recursive: true });
  await app.listen({ path: join(folder, 'data/run/control/command.sock') });
});
after(async () => {
  await app.close();
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line against the installation of this test. */
async function freehold(...argv: string[]): Promise<Ran> {
  return runIn({ FREEHOLD_DATA: join(folder, 'data'), XDG_RUNTIME_DIR: folder }, argv);
}
async function runIn(env: Record<string, string>, argv: string[], typed?: string): Promise<Ran> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const stdin = Object.assign(new PassThrough(), { isTTY: typed !== undefined });
  if (typed !== undefined) stdin.end(typed);
  const code = await runCli(argv, env, { stdin, stdout, stderr });
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { code, out: text(stdout), err: text(stderr) };
}
const ok = (ran: Ran): Ran => {
  assert.deepEqual([ran.code, ran.err], [0, ''], ran.err);
  return ran;
};
const json = (ran: Ran) => {
  assert.equal(ok(ran).out.trimEnd().split('\n').length, 1, 'one line');
  return JSON.parse(ran.out);
};

test('create prints one line with the contract of the acceptance tests', async () => {
  const made = json(await freehold('tenant', 'create', 'acme', '--admin-email', 'ada@example.com', '--json'));
  assert.deepEqual(Object.keys(made), ['tenantId', 'name', 'url', 'adminEmail', 'invitationUrl']);
  assert.deepEqual([made.name, made.url, made.adminEmail], ['acme', 'https://acme.localhost:8443', 'ada@example.com']);
  assert.match(made.invitationUrl, /^https:\/\/acme\.localhost:8443\/-\/invitations\/[\w-]{20,}$/);
  const listed = json(await freehold('tenant', 'list', '--json'));
  assert.equal(listed.tenants.length, 1);
  assert.match(ok(await freehold('tenant', 'show', 'acme')).out, /^ {2}name +acme$/m);
  assert.match(ok(await freehold('tenant', 'list')).out, /^NAME .*\nacme .*active .*sample/);
});

test('every command has its round', async () => {
  ok(await freehold('tenant', 'create', 'round', '--admin-email', 'a@example.com', '--title', 'Round Trip'));
  assert.equal(json(await freehold('tenant', 'suspend', 'round', '--reason', 'unpaid', '--json')).state, 'suspended');
  assert.equal(json(await freehold('tenant', 'resume', 'round', '--json')).state, 'active');
  assert.equal(
    json(await freehold('tenant', 'rename', 'round', 'square', '--json')).url,
    'https://square.localhost:8443',
  );
  assert.equal(json(await freehold('tenant', 'clone', 'square', 'cube', '--json')).name, 'cube');
  const file = join(folder, 'square.tar');
  const exported = json(await freehold('tenant', 'export', 'square', '--to', file, '--json'));
  assert.equal(exported.file, file);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.match(execFileSync('sha256sum', [file]).toString(), new RegExp(exported.sha256));
  const imported = json(await freehold('tenant', 'import', file, '--name', 'sphere', '--json'));
  assert.equal(imported.contentHash, exported.contentHash);
  assert.equal(json(await freehold('tenant', 'show', 'sphere', '--json')).title, 'Round Trip');

  const deleted = json(await freehold('tenant', 'delete', 'square', '--confirm', 'square', '--json'));
  const certificate = json(await freehold('tenant', 'certificate', deleted.certificateId, '--json'));
  assert.ok(verifyDocument(deleted.certificate, certificate.publicKeyPem));
  assert.equal(deleted.certificate.destroyed.key.destroyed, false);
  const again = ['tenant', 'delete', deleted.tenantId, '--confirm', 'square', '--json'];
  assert.equal((await freehold(...again)).code, 1);
  const ended = json(await freehold(...again, '--now'));
  assert.equal(ended.certificate.completes, deleted.certificateId);
  assert.equal(ended.certificate.destroyed.key.destroyed, true);
  assert.match(ok(await freehold('audit', '--limit', '5')).out, /tenant\.deleted +os:root +square/);
  assert.match(ok(await freehold('operation', 'list')).out, /delete +square +succeeded/);
});

test('what is wrong is said with what to type next, in words and in JSON', async () => {
  const expectations: [argv: string[], code: number, errorCode: string, text: RegExp][] = [
    [['tenant', 'show', 'nobody'], 1, 'FH_TENANT_NOT_FOUND', /\.\/freehold tenant list/],
    [['tenant', 'create', 'www', '--admin-email', 'a@example.com'], 1, 'FH_TENANT_NAME_RESERVED', /reserved/],
    [
      ['tenant', 'create', 'Bücher', '--admin-email', 'a@example.com'],
      1,
      'FH_TENANT_NAME_INVALID',
      /Use bucher instead/,
    ],
    [['tenant', 'create', 'fine', '--admin-email', 'nobody'], 1, 'FH_TENANT_EMAIL_INVALID', /name@example\.com/],
    [
      ['tenant', 'create', 'fine', '--admin-email', 'a@example.com', '--edition', 'private-cloud'],
      1,
      'FH_TENANT_EDITION_UNAVAILABLE',
      /--edition standard/,
    ],
    [
      ['tenant', 'create', 'fine', '--admin-email', 'a@example.com', '--app', 'none'],
      1,
      'FH_TENANT_APP_UNKNOWN',
      /sample/,
    ],
    [['tenant', 'create', 'fine'], 2, 'FH_USAGE', /tenant create --help/],
    [['tenant', 'list', '--frob'], 2, 'FH_USAGE', /--frob/],
    [['tenant', 'delete', 'acme'], 2, 'FH_USAGE', /--confirm acme/],
    [['tenant', 'delete', 'acme', '--confirm', 'acne'], 1, 'FH_CONFIRMATION_WRONG', /Nothing was changed/],
    [['tenant', 'resume', 'acme'], 1, 'FH_TENANT_STATE', /suspend, rename, clone/],
    [['tenant', 'import', '/nonexistent', '--name', 'fine'], 1, 'FH_INPUT_FILE', /nonexistent/],
    [['tenant', 'export', 'acme', '--to', '/nonexistent/a.tar'], 1, 'FH_OUTPUT_FILE', /folder/],
    [['tenant', 'certificate', 'nonsense'], 1, 'FH_INVALID_REQUEST', /./],
    [['operation', 'show', 'nonsense'], 1, 'FH_INVALID_REQUEST', /./],
  ];
  for (const [argv, code, errorCode, text] of expectations) {
    const ran = await freehold(...argv);
    assert.deepEqual([ran.code, ran.out], [code, ''], argv.join(' ') + ran.err);
    assert.match(ran.err, /^freehold: /);
    assert.match(ran.err, text, argv.join(' '));
    const machine = await freehold(...argv, '--json');
    assert.equal(machine.err.trimEnd().split('\n').length, 1);
    assert.equal(JSON.parse(machine.err).error.code, errorCode);
  }
  assert.equal(json(await freehold('tenant', 'list', '--search', 'fine', '--json')).total, 0);
});

test('a damaged archive changes nothing and says why', async () => {
  const file = join(folder, 'damaged.tar');
  ok(await freehold('tenant', 'export', 'acme', '--to', file));
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.subarray(0, bytes.length - 3_000));
  const ran = await freehold('tenant', 'import', file, '--name', 'damaged');
  assert.equal(ran.code, 1);
  assert.match(ran.err, /The archive cannot be used: .*cut short/);
  assert.equal(json(await freehold('tenant', 'list', '--search', 'damaged', '--json')).total, 0);
});

test('delete asks a person for the name', async () => {
  ok(await freehold('tenant', 'create', 'asked', '--admin-email', 'a@example.com'));
  const env = { FREEHOLD_DATA: join(folder, 'data') };
  const wrong = await runIn(env, ['tenant', 'delete', 'asked'], 'yes\n');
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /its database, its files and its exports, at once\.\nIts key is kept for the grace period/);
  const right = await runIn(env, ['tenant', 'delete', 'asked'], 'asked\n');
  assert.equal(right.code, 0, right.err);
});

test('a user may see the installations of this machine, and must choose between several', async () => {
  const env = { XDG_RUNTIME_DIR: join(folder, 'runtime') };
  const list = (...argv: string[]) => runIn(env, ['tenant', 'list', ...argv]);
  // Root looks in /run, where other installations may be announced: only an ordinary user's folder can be planted here.
  const instances = join(env.XDG_RUNTIME_DIR, 'freehold/instances');
  mkdirSync(instances, { recursive: true, mode: 0o700 });
  const getuid = process.getuid;
  const isRoot = getuid?.() === 0;
  if (isRoot) {
    chownSync(instances, 4_711, 4_711);
    process.getuid = () => 4_711;
  }
  try {
    assert.match((await list()).err, /not running.*\n.*\.\/freehold up/);
    const announce = (name: string, pid: number) => {
      const dataDir = join(folder, name);
      const commandSocket = join(dataDir, 'run/control/command.sock');
      const record = { dataDir, commandSocket, pid, gateway: `https://${name}`, console: 'c', programDir: '/' };
      writeFileSync(join(instances, `${name}.json`), JSON.stringify(record));
    };
    announce('data', process.pid);
    announce('dead', 0x7ffffff);
    writeFileSync(join(instances, 'half.json'), '{"dataDir":');
    assert.equal((await list()).code, 0);
    // What everybody may write to, or somebody else has made, is not believed.
    chmodSync(instances, 0o777);
    assert.match((await list()).err, /not running/);
    chmodSync(instances, 0o700);
    if (isRoot) {
      chownSync(instances, 4_712, 4_712);
      assert.match((await list()).err, /not running/);
      chownSync(instances, 4_711, 4_711);
    }
    announce('other', process.pid);
    const several = await list();
    assert.equal(several.code, 1);
    assert.match(several.err, /--data .*data +https:\/\/data\n.*--data .*other/);
    assert.equal((await list('--data', join(folder, 'data'))).code, 0);
  } finally {
    process.getuid = getuid;
  }
});

test('migrations: nobody is behind, no run yet, and what cannot be compared is said', async () => {
  const ran = await freehold('migrations', 'run');
  assert.deepEqual([ran.code, ran.out], [0, 'Every database is up to date.\n']);
  const status = await freehold('migrations', 'status', '--json');
  assert.equal(JSON.parse(status.err).error.code, 'FH_FLEET_RUN_NOT_FOUND');
  const { tenants } = JSON.parse((await freehold('migrations', 'drift', '--json')).out) as {
    tenants: { state: string }[];
  };
  assert.ok(tenants.every(({ state }) => state === 'unknown'));
  const unfit = await freehold('migrations', 'run', '--max-failed', '101');
  assert.equal(unfit.code, 2);
});
