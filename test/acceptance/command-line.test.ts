/**
 * The operator at a terminal: every command on tenants with its machine-readable and its human answer, and what is refused with which words.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type CommandResult, commandPauseMs, Freehold, runLauncher, until } from './harness.ts';

const password = 'eleven quiet trams at midnight';
const adminEmail = 'ada@northwind.example';

describe('the command line', { timeout: 1_200_000 }, () => {
  let freehold: Freehold;
  let folder: string;
  let created: { tenantId: string; name: string; url: string; adminEmail: string; invitationUrl: string };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fh-cli-'));
    freehold = await Freehold.start();
  });
  after(async () => {
    await freehold?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const json = async (...args: string[]) => {
    const result = await freehold.run(...args, '--json');
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stdout, /^\{.*\}\n$/s);
    assert.equal(result.stdout.trim().split('\n').length, 1, 'one line');
    return JSON.parse(result.stdout);
  };
  const text = async (...args: string[]) => {
    const result = await freehold.run(...args);
    assert.equal(result.code, 0, result.stderr);
    return result.stdout;
  };
  /** Refused as a sentence with what to do next, and as a document with the same code. */
  const refuse = async (args: string[], code: number, words: RegExp, errorCode: string, next: RegExp) => {
    const human = await freehold.run(...args);
    assert.equal(human.code, code, `${args.join(' ')} ended with ${human.code}`);
    assert.equal(human.stdout, '');
    assert.match(human.stderr, words);
    assert.match(human.stderr, next);
    assert.doesNotMatch(human.stderr, /\bat .*\.ts:\d+|Error:|!/, 'no stack, no shouting');
    const machine = await freehold.run(...args, '--json');
    assert.equal(machine.code, code);
    assert.equal(machine.stdout, '');
    assert.equal(JSON.parse(machine.stderr).error.code, errorCode);
  };

  it('tenant create --json has exactly five fields', async () => {
    created = await json('tenant', 'create', 'northwind', '--admin-email', adminEmail);
    assert.deepEqual(Object.keys(created), ['tenantId', 'name', 'url', 'adminEmail', 'invitationUrl']);
    assert.match(created.tenantId, /^ten_[0-9a-z]{26}$/);
    assert.equal(created.name, 'northwind');
    assert.equal(created.url, `https://northwind.localhost:${freehold.port}`);
    assert.equal(created.adminEmail, adminEmail);
    assert.ok(created.invitationUrl.startsWith(`${created.url}/-/invitations/`));
  });

  it('tenant create tells a person what to do with the invitation', async () => {
    const words = await text(
      'tenant',
      'create',
      'contoso',
      '--admin-email',
      'bo@contoso.example',
      '--title',
      'Contoso AG',
    );
    assert.match(words, /^Tenant contoso is ready\.$/m);
    assert.match(words, /invitation +https:\/\/contoso\.localhost:\d+\/-\/invitations\/[\w-]{43}$/m);
    assert.match(words, /works once/);
  });

  it('the invitation signs the administrator up', async () => {
    const client = await freehold.signUp(created, password);
    assert.equal((await client.get('/-/api/session')).json.user.role, 'owner');
    await client.close();
  });

  it('tenant list and tenant show', async () => {
    const list = await json('tenant', 'list');
    assert.equal(list.total, 2);
    assert.deepEqual(
      list.tenants.map((tenant: { name: string }) => tenant.name),
      ['contoso', 'northwind'],
    );
    // The size is measured now and then, not at once.
    const measured = async () => {
      const found = await json('tenant', 'show', 'northwind');
      return typeof found.sizeBytes === 'number' && found;
    };
    const shown = await until('the size of the database', measured, 120_000, commandPauseMs);
    const { tenantId, name, title, state, edition, app, url, sizeBytes, createdAt } = shown;
    assert.deepEqual(
      { tenantId, name, title, state, edition, app, url },
      {
        tenantId: created.tenantId,
        name: 'northwind',
        title: 'northwind',
        state: 'active',
        edition: 'standard',
        app: 'desk',
        url: created.url,
      },
    );
    assert.ok(sizeBytes > 1_000_000);
    assert.ok(!Number.isNaN(Date.parse(createdAt)));
    // What is recorded now and then may be so between the two.
    const lasting = ({ lastUsedAt: _, sizeBytes: __, ...rest }: Record<string, unknown>) => rest;
    assert.deepEqual(lasting(await json('tenant', 'show', created.tenantId)), lasting(shown), 'by id as by name');
    assert.match(await text('tenant', 'list'), /^NAME +TITLE +STATE .*\ncontoso +Contoso AG +active /);
    assert.match(await text('tenant', 'show', 'contoso'), /title +Contoso AG/);
    assert.equal((await json('tenant', 'list', '--search', 'AG')).total, 1);
    assert.equal((await json('tenant', 'list', '--state', 'suspended')).total, 0);
  });

  it('user reset-access lets somebody back in who lost everything', async () => {
    const link = await json('user', 'reset-access', 'northwind', adminEmail);
    assert.deepEqual(Object.keys(link), ['email', 'url', 'expiresAt']);
    const [path, token] = link.url.split('#token=');
    assert.equal(path, `${created.url}/-/reset-password`);
    const guest = freehold.tenantClient('northwind');
    const answer = await guest.send('POST', '/-/api/password-resets/check', { token });
    assert.equal(answer.status, 200, answer.text);
    await guest.close();
    await refuse(
      ['user', 'reset-access', 'northwind', 'nobody@example.com'],
      1,
      /no such user/,
      'FH_USER_NOT_FOUND',
      /active/,
    );
  });

  it('suspend and resume', async () => {
    assert.deepEqual(await json('tenant', 'suspend', 'contoso', '--reason', 'unpaid'), {
      tenantId: (await json('tenant', 'show', 'contoso')).tenantId,
      name: 'contoso',
      url: `https://contoso.localhost:${freehold.port}`,
      state: 'suspended',
      recoveryPoint: 'second',
    });
    const client = freehold.tenantClient('contoso');
    const closed = await client.get('/-/api/tenant');
    assert.deepEqual([closed.status, closed.json.code], [503, 'FH_TENANT_SUSPENDED']);
    await refuse(['tenant', 'suspend', 'contoso'], 1, /it is suspended/, 'FH_TENANT_STATE', /resume/);
    const reset = ['user', 'reset-access', 'contoso', 'bo@contoso.example'];
    await refuse(reset, 1, /it is suspended/, 'FH_TENANT_STATE', /tenant resume/);
    assert.match(await text('tenant', 'resume', 'contoso'), /contoso is open at https:/);
    assert.equal((await client.get('/-/api/tenant')).status, 200);
    await client.close();
  });

  it('rename: the old name answers no more and is held back', async () => {
    const renamed = await json('tenant', 'rename', 'contoso', 'contoso-group');
    assert.deepEqual([renamed.name, renamed.state], ['contoso-group', 'active']);
    const client = freehold.tenantClient('contoso');
    assert.equal((await client.get('/-/api/tenant')).status, 404);
    await client.close();
    await refuse(
      ['tenant', 'create', 'contoso', '--admin-email', adminEmail],
      1,
      /This name is taken/,
      'FH_TENANT_NAME_TAKEN',
      /Choose another name/,
    );
  });

  it('clone: users and data, no sessions', async () => {
    const copy = await json('tenant', 'clone', 'northwind', 'northwind-copy');
    assert.equal(copy.name, 'northwind-copy');
    assert.notEqual(copy.tenantId, created.tenantId);
    const client = freehold.tenantClient('northwind-copy');
    const signedIn = await client.send('POST', '/-/api/session', { email: adminEmail, password });
    assert.equal(signedIn.status, 201);
    assert.equal((await client.get('/-/api/sessions')).json.sessions.length, 1, 'only the one of now');
    await client.close();
  });

  it('delete asks for the name, destroys, and leaves a certificate', async () => {
    const without = await freehold.run('tenant', 'delete', 'northwind-copy');
    assert.equal(without.code, 2);
    assert.match(without.stderr, /--confirm northwind-copy/);
    await refuse(
      ['tenant', 'delete', 'northwind-copy', '--confirm', 'northwind'],
      1,
      /not the name of the tenant/,
      'FH_CONFIRMATION_WRONG',
      /Nothing was changed/,
    );
    const deleted = await json('tenant', 'delete', 'northwind-copy', '--confirm', 'northwind-copy');
    assert.deepEqual(Object.keys(deleted), ['tenantId', 'name', 'certificateId', 'certificate']);
    assert.equal(deleted.certificate.tenant.name, 'northwind-copy');
    const { key, database } = deleted.certificate.destroyed;
    assert.ok(database.rows > 0);
    // A week in which a wrong deletion can be undone; the certificate says until when.
    assert.equal(key.destroyed, false);
    assert.ok(Math.abs(Date.parse(key.dueAt) - Date.now() - 7 * 24 * 3_600_000) < 3_600_000, key.dueAt);
    assert.ok(deleted.certificate.expires.some((one: { when: string }) => one.when.includes(key.dueAt)));
    const certificate = await json('tenant', 'certificate', deleted.certificateId);
    assert.deepEqual(certificate.document ?? certificate.certificate, deleted.certificate);
    assert.match(await text('tenant', 'certificate', deleted.certificateId), /northwind-copy/);
    await refuse(['tenant', 'resume', 'northwind-copy'], 1, /./, 'FH_TENANT_NOT_FOUND', /tenant list/);

    // The key before its time: another certificate says so.
    const ended = await json('tenant', 'delete', deleted.tenantId, '--confirm', 'northwind-copy', '--now');
    assert.equal(ended.certificate.destroyed.key.destroyed, true);
    assert.equal(ended.certificate.completes, deleted.certificateId);
    assert.deepEqual(ended.certificate.destroyed.database, database);
  });

  it('names that cannot be are refused with a better one where there is one', async () => {
    const create = (name: string) => ['tenant', 'create', name, '--admin-email', adminEmail];
    await refuse(create('northwind'), 1, /taken/, 'FH_TENANT_NAME_TAKEN', /Choose another/);
    await refuse(create('admin'), 1, /reserved/, 'FH_TENANT_NAME_RESERVED', /Choose another/);
    await refuse(create('Bücher'), 1, /cannot be a tenant name/, 'FH_TENANT_NAME_INVALID', /bucher/);
    // Each costs a process: the rest is asked for once, by machine or by hand in turn.
    const codeOf = async (name: string) =>
      JSON.parse((await freehold.run(...create(name), '--json')).stderr).error.code;
    for (const name of ['www', 'api', 'console']) assert.equal(await codeOf(name), 'FH_TENANT_NAME_RESERVED', name);
    for (const name of ['a', 'a'.repeat(41), 'UPPER', 'has.dot', 'раураl', '../../etc', "a';drop--"])
      assert.equal(await codeOf(name), 'FH_TENANT_NAME_INVALID', name);
    assert.equal(await codeOf('a'.repeat(50_000)), 'FH_INVALID_REQUEST');
    for (const [name, next] of [
      ['xn--bcher-kva', /xn-bcher-kva/],
      ['double--hyphen', /double-hyphen/],
      ['has space', /3 to 40|has-space/],
    ] as const) {
      const { code, stderr } = await freehold.run(...create(name));
      assert.equal(code, 1);
      assert.match(stderr, next);
    }
    assert.equal((await json('tenant', 'list')).total, 2, 'nothing was made');
  });

  it('command lines that make no sense end with 2 and point to the help', async () => {
    for (const [args, words] of [
      [['tenant', 'create', 'fabrikam'], /--admin-email/],
      [['tenant', 'create', 'fabrikam', '--admin-email', adminEmail, '--colour', 'red'], /unknown option '--colour'/],
      [['tenant', 'create', '--admin-email', adminEmail], /missing required argument 'name'/],
      [['tenant', 'frobnicate'], /unknown command 'frobnicate'/],
      [['frobnicate'], /unknown command 'frobnicate'/],
      [['tenant', 'list', '--state', 'happy'], /state/],
      [['tenant', 'show', 'northwind', 'extra'], /too many arguments/],
    ] as const) {
      const result = await freehold.run(...args);
      assert.equal(result.code, 2, `${args.join(' ')}: ${result.stderr}`);
      assert.equal(result.stdout, '');
      assert.match(result.stderr, words);
      assert.match(result.stderr, /--help/);
    }
    await refuse(
      ['tenant', 'create', 'fabrikam', '--admin-email', 'nobody'],
      1,
      /not an e-mail address/,
      'FH_TENANT_EMAIL_INVALID',
      /name@example/,
    );
    await refuse(
      ['tenant', 'create', 'fabrikam', '--admin-email', adminEmail, '--app', 'none'],
      1,
      /app/,
      'FH_TENANT_APP_UNKNOWN',
      /./,
    );
    await refuse(
      ['tenant', 'create', 'fabrikam', '--admin-email', adminEmail, '--edition', 'gold'],
      1,
      /edition/,
      'FH_INVALID_REQUEST',
      /./,
    );
    await refuse(['tenant', 'show', 'nobody'], 1, /no such tenant/, 'FH_TENANT_NOT_FOUND', /tenant list/);
  });

  it('every command has help, and none of it needs Freehold to run', async () => {
    for (const command of [
      '',
      'up',
      'status',
      'doctor',
      'tenant',
      'tenant create',
      'tenant import',
      'app add',
      'operation',
      'staff link',
      'user reset-access',
      'audit',
      'migrations',
      'test',
    ]) {
      const { code, stdout } = await runLauncher([...command.split(' ').filter(Boolean), '--help']);
      assert.equal(code, 0, command);
      assert.match(stdout, /^Usage: /, command);
    }
  });

  it('a command without a running installation says how to start one', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    const notRunning = (result: CommandResult) => {
      assert.equal(result.code, 1);
      assert.match(result.stderr, /not running/);
      assert.match(result.stderr, /\.\/freehold up/);
    };
    notRunning(await runLauncher(['tenant', 'list', '--data', empty]));
    notRunning(await runLauncher(['status', '--data', join(folder, 'not-there')]));
    const machine = await runLauncher(['tenant', 'list', '--json', '--data', empty]);
    assert.equal(JSON.parse(machine.stderr).error.code, 'FH_NOT_RUNNING');
    assert.deepEqual(readdirSync(empty), [], 'a question makes no folders');
  });

  it('status, doctor, migrations, operations, audit and staff link', async () => {
    const status = await json('status');
    assert.equal(status.gateway, freehold.ready.gateway);
    assert.deepEqual(
      status.clusters.map(({ name, kind, state }: Record<string, string>) => ({ name, kind, state })),
      [{ name: 'main', kind: 'embedded', state: 'up' }],
    );
    assert.equal(status.clusters[0].dataChecksums, true);
    assert.ok(status.clusters[0].connections.used <= status.clusters[0].connections.max);
    assert.equal(status.gateways.connected, status.gateways.expected);
    assert.equal(status.tenants.active, 2);
    assert.match(await text('status'), /Gateway +https:\/\/localhost/);

    const doctor = await freehold.run('doctor', '--json');
    assert.ok(Array.isArray(JSON.parse(doctor.stdout).warnings));

    const { tenants } = await json('migrations');
    for (const { platform, appMigrations } of tenants) {
      assert.equal(platform.at, platform.of);
      assert.equal(appMigrations.at, appMigrations.of);
    }
    const { operations } = await json('operation', 'list');
    assert.ok(operations.every((operation: { state: string }) => operation.state === 'succeeded'));
    const shown = await json('operation', 'show', operations[0].operationId);
    assert.ok((shown.operation ?? shown).steps.length > 0);

    const { events } = await json('audit', '--limit', '100');
    const names = new Set(events.map((event: { name: string }) => event.name));
    for (const name of [
      'tenant.created',
      'tenant.suspended',
      'tenant.resumed',
      'tenant.renamed',
      'tenant.cloned',
      'tenant.deleted',
    ])
      assert.ok(names.has(name), name);
    assert.ok(events.every((event: { actor: string }) => event.actor.startsWith('os:') || event.actor === 'system'));
    assert.match(await text('audit', '--limit', '1'), /^TIME +EVENT/);

    const link = await json('staff', 'link', 'olive@operator.example');
    assert.ok(link.url.startsWith(`${freehold.ready.console}/setup`));
    const invalid = await freehold.run('staff', 'link', 'no address');
    assert.equal(invalid.code, 1);
  });
});
