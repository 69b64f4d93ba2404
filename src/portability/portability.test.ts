import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findBinaries } from '#src/clusters/index.ts';
import { randomName, type TenantId } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { Operation, Tenant } from '#src/tenants/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { brokenArchives, putTogether, sha256, takeApart } from './broken-archives.contract.ts';
import { contentHash, type Manifest } from './index.ts';
import { stableOutput } from './sql.ts';

let cluster: TestCluster;
/** A second registry on the same server: another installation. */
let elsewhereCluster: TestCluster;
let folder: string;
let world: TestInstallation;
let elsewhere: TestInstallation;
let acme: Tenant;
let archive: string;
let exported: Operation;

before(async () => {
  cluster = await startTestCluster({ own: true });
  elsewhereCluster = await startTestCluster({ own: true });
  folder = await mkdtemp(join(tmpdir(), 'freehold-portability-'));
  world = await openTestInstallation({ control: cluster.control, folder: join(folder, 'here') });
  elsewhere = await openTestInstallation({ control: elsewhereCluster.control, folder: join(folder, 'there') });
  // Two tenants with the same ids and addresses: an archive must bring the rows of its own.
  acme = await createTenant('acme', 'of acme');
  await createTenant('globex', 'of globex');
  exported = await exportOf(world, acme);
  archive = join(folder, 'here/exports', acme.tenantId, `${exported.operationId}.tar`);
});
after(async () => {
  for (const each of [world, elsewhere]) {
    await dropTestTenants(each);
    await each.stop();
  }
  await cluster.stop();
  await elsewhereCluster.stop();
  await rm(folder, { recursive: true });
});

async function createTenant(name: string, text: string): Promise<Tenant> {
  const input = { name, adminEmail: 'ada@example.com' };
  const { operationId } = await world.lifecycle.startOperation('create', undefined, input, 'os:test');
  await world.lifecycle.waitForOperation(operationId);
  const tenant = await world.lifecycle.getTenant(name);
  await world.databases.app.transact(tenant.tenantId, (db) =>
    db.query(
      `INSERT INTO notes (note_id, text, author_id, created_at)
       SELECT 'note' || n, $1 || E' line\\nbreak \\\\ " ; \\t ü', 'usr_1', timestamptz '2026-01-01' + n * interval '1 hour'
       FROM generate_series(1, 500) n`,
      [text],
    ),
  );
  await world.databases.platform.transact(tenant.tenantId, async (db) => {
    await db.query(
      `INSERT INTO freehold.users (user_id, email, email_key, name, role, password_hash)
       VALUES ('usr_00000000000000000000000000', 'ada@example.com', 'ada@example.com', $1, 'owner', 'hash of ' || $1)`,
      [name],
    );
    await db.query(
      `INSERT INTO freehold.sessions (session_id, token_hash, user_id, user_epoch, expires_at, idle_expires_at)
       VALUES ('ses_00000000000000000000000000', sha256('secret'), 'usr_00000000000000000000000000', 1, now() + interval '1 day', now() + interval '1 day')`,
    );
    await db.query(
      `INSERT INTO freehold.api_tokens (token_id, token_hash, user_id, name, scope, expires_at)
       VALUES ('tok_00000000000000000000000000', sha256('secret'), 'usr_00000000000000000000000000', 'x', 'read', now() + interval '1 day')`,
    );
    await db.query(
      `INSERT INTO freehold.totp_factors (user_id, sealed_secret, confirmed_at)
       VALUES ('usr_00000000000000000000000000', decode(repeat('00', 49), 'hex'), now())`,
    );
    await db.query(
      `INSERT INTO freehold.recovery_codes (user_id, code_hash) VALUES ('usr_00000000000000000000000000', sha256('code'))`,
    );
    await db.query(`INSERT INTO freehold.second_factor_policy (required_of) VALUES ('everyone')`);
    await db.query(
      `INSERT INTO freehold.audit_events (event_id, name, actor, subject) VALUES ('aud_' || repeat('0', 26), 'session.created', 'x', 'y')`,
    );
  });
  for (const content of [`file ${text}`, 'shared', 'shared', '']) await put(tenant.tenantId, content);
  return tenant;
}
async function put(tenantId: TenantId, content: string): Promise<void> {
  const bytes = [Buffer.from(content)] as unknown as AsyncIterable<Uint8Array>;
  await world.files.put(tenantId, bytes, {
    name: 'a.txt',
    mediaType: 'text/plain',
    maxBytes: 1e6,
    createdBy: 'system',
  });
}
async function exportOf(from: TestInstallation, tenant: Tenant): Promise<Operation> {
  const { operationId } = await from.lifecycle.startOperation('export', tenant.tenantId, {}, 'os:test');
  const operation = await from.lifecycle.waitForOperation(operationId);
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  return operation;
}
/** The way of the console and the command line: upload, inspect, import. */
async function importInto(to: TestInstallation, file: string, name = `i-${randomName(8)}`): Promise<Operation> {
  const archivePath = await to.portability.receiveUpload(createReadStream(file), 1e9);
  try {
    const manifest = await to.portability.inspectArchive(archivePath);
    const input = { name, archivePath, app: manifest.app.name, createdFrom: manifest.createdFrom };
    const { operationId } = await to.lifecycle.startOperation('import', undefined, input, 'os:test');
    return await to.lifecycle.waitForOperation(operationId);
  } catch (error) {
    await to.portability.removeUpload(archivePath);
    throw error;
  }
}

test('what is imported on another installation is what was exported', async () => {
  const operation = await importInto(elsewhere, archive, 'acme');
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  assert.equal(operation.result.contentHash, exported.result.contentHash);
  const { tenantId } = await elsewhere.lifecycle.getTenant('acme');
  const again = await exportOf(elsewhere, await elsewhere.lifecycle.getTenant('acme'));
  assert.equal(again.result.contentHash, exported.result.contentHash);
  assert.deepEqual(await elsewhere.vault.findMissing(tenantId), []);
  const read = (sql: string) => elsewhere.databases.platform.read(tenantId, (db) => db.query(sql));
  assert.deepEqual(await read('SELECT name, password_hash FROM freehold.users'), [
    { name: 'acme', password_hash: 'hash of acme' },
  ]);
  assert.deepEqual(await read('SELECT session_id FROM freehold.sessions'), []);
  assert.deepEqual(await read('SELECT token_id FROM freehold.api_tokens'), []);
  assert.deepEqual(await read('SELECT invitation_id FROM freehold.invitations'), []);
  // No factor, whose secret another key sealed; but who must have one, so the next sign-in leads to setting one up.
  assert.deepEqual(await read('SELECT user_id FROM freehold.totp_factors'), []);
  assert.deepEqual(await read('SELECT user_id FROM freehold.recovery_codes'), []);
  await elsewhere.databases.platform.transact(tenantId, (db) =>
    db.query(
      `INSERT INTO freehold.sessions (session_id, token_hash, user_id, user_epoch, expires_at, idle_expires_at)
       SELECT 'ses_00000000000000000000000000', sha256('new'), user_id, epoch, now() + interval '1 day', now() + interval '1 day'
       FROM freehold.users`,
    ),
  );
  assert.deepEqual(await read(`SELECT must_enrol FROM freehold.check_session(sha256('new'))`), [{ must_enrol: true }]);
  // The next row gets the next number, triggers work again, and foreign keys are checked at once.
  await elsewhere.databases.platform.transact(tenantId, async (db) => {
    const [row] = await db.query<{ position: string }>(
      `INSERT INTO freehold.audit_events (event_id, name, actor, subject) VALUES ('aud_' || repeat('1', 26), 'x', 'x', 'y') RETURNING position`,
    );
    assert.equal(Number(row!.position) > 1, true);
  });
  await assert.rejects(
    elsewhere.databases.platform.transact(tenantId, (db) => db.query('DELETE FROM freehold.audit_events')),
    { code: '42501' },
  );
  const access = await elsewhere.directory.getAccess(tenantId);
  const files = await read(
    `SELECT encode(sha256, 'hex') AS sha256, count(*) AS n FROM freehold.files GROUP BY 1 ORDER BY 2`,
  );
  assert.deepEqual(
    files.map((row) => row.n),
    ['1', '1', '2'],
  );
  assert.notDeepEqual(access.filesKey, (await world.directory.getAccess(acme.tenantId)).filesKey);
});

test('plain tools open an archive', async () => {
  const plain = join(folder, 'plain');
  await mkdir(plain);
  execFileSync('tar', ['-xf', archive, '-C', plain]);
  const manifest = JSON.parse(readFileSync(join(plain, 'manifest.json'), 'utf8')) as Manifest;
  for (const { name, sha256 } of manifest.members) {
    assert.equal(
      createHash('sha256')
        .update(readFileSync(join(plain, name)))
        .digest('hex'),
      sha256,
    );
  }
  assert.equal((await readdir(join(plain, 'files'))).length, 3);
  const bare = `bare_${randomName(8)}`;
  const superuser = await openConnection(cluster.superuser, { applicationName: 'test' });
  await superuser.query(`CREATE DATABASE ${bare}`);
  try {
    const { host, port, user, password } = cluster.superuser;
    const { binDir } = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
    execFileSync(
      join(binDir, 'pg_restore'),
      [
        '--no-owner',
        '--exit-on-error',
        '-h',
        host,
        '-p',
        String(port),
        '-U',
        user,
        '-d',
        bare,
        join(plain, 'database.dump'),
      ],
      { env: { PGPASSWORD: password } },
    );
    const restored = await openConnection(
      { ...cluster.superuser, database: bare },
      { applicationName: 'test', options: stableOutput },
    );
    await restored.query('BEGIN');
    assert.deepEqual(await contentHash(restored), manifest.content);
    await restored.close();
  } finally {
    await superuser.query(`DROP DATABASE ${bare} WITH (FORCE)`);
    await superuser.close();
  }
});

test('an archive is one moment, while users go on writing', async () => {
  const busy = await createTenant('busy', 'of busy');
  let isOver = false;
  const writing = (async () => {
    for (let n = 0; !isOver; n++) {
      await put(busy.tenantId, `while ${n}`);
      await world.databases.app.transact(busy.tenantId, (db) =>
        db.query(`INSERT INTO notes (note_id, text, author_id, created_at) VALUES ($1, 'x', 'y', now())`, [`w${n}`]),
      );
    }
  })();
  const operation = await exportOf(world, busy).finally(() => (isOver = true));
  await writing;
  const file = join(folder, 'here/exports', busy.tenantId, `${operation.operationId}.tar`);
  const imported = await importInto(elsewhere, file);
  assert.equal(imported.state, 'succeeded', JSON.stringify(imported.error));
});

for (const [what, make] of Object.entries(brokenArchives)) {
  test(`refused before anything is made: ${what}`, async () => {
    const file = join(folder, 'attack.tar');
    writeFileSync(file, await make(readFileSync(archive)));
    await assert.rejects(importInto(elsewhere, file), (error: { code: string; status: number }) => {
      assert.equal(error.code, 'FH_ARCHIVE_INVALID');
      return true;
    });
    assert.deepEqual(await uploads(), []);
    assert.equal(({} as { admin?: boolean }).admin, undefined);
  });
}
const uploads = async () => (await readdir(join(folder, 'there/exports'))).filter((name) => name.startsWith('upload'));

/** Replaces text in the dump's table of contents, which is not compressed, by text of the same length. */
async function patchDump(from: string, to: string): Promise<string> {
  const parts = takeApart(readFileSync(archive));
  const dump = Buffer.from(parts.members[0]!.content);
  const at = dump.indexOf(from);
  assert.ok(at > 0 && to.length <= from.length, `${at} ${from.length - to.length}`);
  dump.write(to.padEnd(from.length), at, 'latin1');
  parts.members[0]!.content = dump;
  Object.assign(parts.manifest.members[0]!, { sha256: sha256(dump) });
  const file = join(folder, 'patched.tar');
  writeFileSync(file, await putTogether(parts));
  return file;
}
const copyNotes = 'COPY app.notes (note_id, text, file_id, author_id, created_at) FROM stdin;';
const hostile: Record<string, [statement: string, code: string]> = {
  'makes a table': ['CREATE TABLE app.x();COPY app.notes FROM stdin;', 'FH_ARCHIVE_SCHEMA'],
  'gives a right away': ['GRANT ALL ON app.notes TO PUBLIC;COPY app.notes FROM stdin;', 'FH_ARCHIVE_SCHEMA'],
  'changes its own role': ['ALTER USER CURRENT_USER SET jit=on;COPY app.notes FROM stdin;', 'FH_ARCHIVE_SCHEMA'],
  'drops a table': ['DROP TABLE freehold.recovery_codes;COPY app.notes FROM stdin;', 'FH_ARCHIVE_SCHEMA'],
  'becomes somebody else': ['SET ROLE freehold_control;COPY app.notes FROM stdin;', 'FH_ARCHIVE_INVALID'],
  'makes a role': ['CREATE ROLE evil;COPY app.notes FROM stdin;', 'FH_ARCHIVE_INVALID'],
  'runs a program': ["COPY app.notes FROM PROGRAM 'id';COPY app.notes FROM stdin;", 'FH_ARCHIVE_INVALID'],
  'leaves rows out': ['COPY app.notes FROM stdin WHERE false;', 'FH_ARCHIVE_DIFFERS'],
};
for (const [what, [statement, code]] of Object.entries(hostile)) {
  test(`taken back as a whole: a dump whose statement ${what}`, async () => {
    const file = await patchDump(copyNotes, statement);
    const name = `h-${randomName(8)}`;
    const operation = await importInto(elsewhere, file, name);
    assert.deepEqual([operation.state, operation.error?.code], ['undone', code], JSON.stringify(operation.error));
    assert.deepEqual(await uploads(), []);
    await assert.rejects(elsewhere.lifecycle.getTenant(name), { code: 'FH_TENANT_NOT_FOUND' });
    assert.equal(await elsewhere.keys.hasTenantKey(operation.tenantId), false);
    const known = await elsewhere.lifecycle.knownDatabases();
    const others = await world.lifecycle.knownDatabases();
    assert.deepEqual((await elsewhere.admin.findOrphans([...known, ...others])).databases, []);
  });
}

test('an invitation that a dump brings along is no invitation', async () => {
  const copyUsers =
    'COPY freehold.users (user_id, email, email_key, name, role, state, password_hash, password_changed_at, epoch, created_at, last_sign_in_at) FROM stdin;';
  const invite =
    "INSERT INTO freehold.invitations VALUES('inv_'||repeat('0',26),sha256('x'),'eve','eve','','owner','',now(),'infinity');";
  const file = await patchDump(copyUsers, `${invite}COPY freehold.users FROM stdin;`);
  const operation = await importInto(elsewhere, file);
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  const found = await elsewhere.databases.platform.read(operation.tenantId, (db) =>
    db.query('SELECT email FROM freehold.invitations'),
  );
  assert.deepEqual(found, []);
});

test('a dump whose statement waits for ever ends, and nothing of it stays', async () => {
  const hastyCluster = await startTestCluster();
  const hasty = await openTestInstallation({
    control: hastyCluster.control,
    folder: join(folder, 'hasty'),
    loadDeadlineMs: 1_000,
  });
  try {
    const file = await patchDump(copyNotes, 'SELECT pg_sleep(86400);COPY app.notes FROM stdin;');
    const operation = await importInto(hasty, file);
    assert.deepEqual([operation.state, operation.error?.code], ['undone', 'FH_ARCHIVE_INVALID']);
    assert.match(operation.error!.text, /takes too long/);
    assert.deepEqual(await hasty.lifecycle.knownDatabases(), []);
  } finally {
    await dropTestTenants(hasty);
    await hasty.stop();
    await hastyCluster.stop();
  }
});

test('an archive of other migrations is refused, and says which', async () => {
  const parts = takeApart(readFileSync(archive));
  (parts.manifest.migrations as unknown as { name: string }[]).push({
    ...parts.manifest.migrations[0]!,
    name: '0099_next',
  });
  const file = join(folder, 'newer.tar');
  writeFileSync(file, await putTogether(parts));
  const operation = await importInto(elsewhere, file);
  assert.deepEqual([operation.state, operation.error?.code], ['undone', 'FH_ARCHIVE_VERSION']);
  assert.match(operation.error!.text, /0099_next/);
});
