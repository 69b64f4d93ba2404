import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, beforeEach, test } from 'node:test';
import { armFailpoints, type Clock, type FileId, newId, systemClock, type TenantId } from '#src/kernel/index.ts';
import { startTwoTenants, type TwoTenants } from '../../test/support/two-tenants.ts';
import { createFileVault, createTenantFiles, type FilesDeps, type FileVault, type TenantFiles } from './index.ts';

let tenants: TwoTenants;
let root: string;
let deps: FilesDeps;
let files: TenantFiles;
let vault: FileVault;
let acme: TenantId;
let globex: TenantId;
const keys = new Map<TenantId, Buffer>();

before(async () => {
  tenants = await startTwoTenants();
  acme = tenants.acme.tenantId;
  globex = tenants.globex.tenantId;
  keys.set(acme, Buffer.alloc(32, 1)).set(globex, Buffer.alloc(32, 2));
});
after(() => tenants.stop());

beforeEach(async (context) => {
  root = await mkdtemp(join(tmpdir(), 'freehold-files-'));
  (context as unknown as { after(fn: () => Promise<void>): void }).after(() => rm(root, { recursive: true }));
  for (const tenantId of [acme, globex])
    await tenants.databases.platform.transact(tenantId, (db) => db.query('DELETE FROM freehold.files'));
  deps = { root, databases: tenants.databases, filesKeyOf: async (id) => keys.get(id)!, clock: systemClock };
  files = await createTenantFiles(deps);
  vault = await createFileVault(deps);
});

async function* bytes(...parts: (string | Buffer)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}
const info = { name: 'a.txt', mediaType: 'text/plain', maxBytes: 1_000, createdBy: newId('usr') };
const read = async (tenantId: TenantId, fileId: FileId) => {
  const opened = await files.open(tenantId, fileId);
  return opened && (await buffer(opened.content)).toString();
};
const rows = (tenantId: TenantId) =>
  tenants.databases.platform.read(tenantId, (db) => db.query('SELECT file_id FROM freehold.files'));
/** Everything below the root, folders left out. */
async function onDisk(): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
const makeOld = async () => {
  for (const path of await onDisk()) await utimes(path, 0, 0);
};

test('what was put can be read, by its tenant only', async () => {
  const file = await files.put(acme, bytes('hello ', 'world'), { ...info, name: '../../Über\u202e.TXT' });
  assert.deepEqual(
    { name: file.name, mediaType: file.mediaType, sizeBytes: file.sizeBytes },
    { name: 'Über.TXT', mediaType: 'text/plain', sizeBytes: 11 },
  );
  assert.deepEqual(await files.find(acme, file.fileId), file);
  assert.equal(await read(acme, file.fileId), 'hello world');
  assert.equal(await files.find(globex, file.fileId), undefined);
  assert.equal(await files.open(globex, file.fileId), undefined);
  await files.remove(globex, file.fileId);
  assert.equal(await read(acme, file.fileId), 'hello world');
});

test('the same id in two tenants names two files', async () => {
  const file = await files.put(acme, bytes('of acme'), info);
  await tenants.databases.platform.transact(globex, (db) =>
    db.query(
      `INSERT INTO freehold.files (file_id, name, media_type, size_bytes, sha256, created_at, created_by)
       VALUES ($1, 'x', 'text/plain', 9, decode($2, 'hex'), now(), 'system')`,
      [file.fileId, file.sha256],
    ),
  );
  // The row of globex claims the content of acme: the object's name is another, so there is nothing to open.
  await assert.rejects(files.open(globex, file.fileId), { code: 'FH_FILE_DAMAGED' });
  await vault.importFile(acme, file.sha256, bytes('of acme'));
  assert.equal(await read(acme, file.fileId), 'of acme');
});

test('content lies sealed, once per content and tenant, under a name that tells nothing', async () => {
  const secret = 'the merger is on Friday';
  const [one, two] = [await files.put(acme, bytes(secret), info), await files.put(acme, bytes(secret), info)];
  await files.put(globex, bytes(secret), info);
  assert.notEqual(one.fileId, two.fileId);
  const paths = await onDisk();
  assert.equal(paths.length, 2);
  for (const path of paths) {
    assert.ok(!path.includes(one.sha256));
    assert.ok(!(await readFile(path)).includes('merger'));
  }
});

test("an object moved into another tenant's place, or changed, does not open", async () => {
  const file = await files.put(acme, bytes('of acme'), info);
  await files.put(globex, bytes('of acme'), info);
  const paths = await onDisk();
  const [own, other] = [paths.find((path) => path.includes(acme))!, paths.find((path) => path.includes(globex))!];
  await rm(own);
  await writeFile(own, await readFile(other));
  await assert.rejects(read(acme, file.fileId), { code: 'FH_KEY_UNSEAL' });
});

test("content of the same tenant in another's place is noticed before its end", async () => {
  const big = Buffer.alloc(200_000, 'a');
  const file = await files.put(acme, bytes(big), { ...info, maxBytes: 300_000 });
  const before = await onDisk();
  await files.put(acme, bytes(Buffer.alloc(200_000, 'b')), { ...info, maxBytes: 300_000 });
  const other = (await onDisk()).find((path) => !before.includes(path))!;
  await rm(before[0]!);
  await writeFile(before[0]!, await readFile(other));
  const opened = await files.open(acme, file.fileId);
  let received = 0;
  await assert.rejects(
    async () => {
      for await (const chunk of opened!.content) received += chunk.length;
    },
    { code: 'FH_FILE_DAMAGED' },
  );
  assert.ok(received < 200_000);
});

test('too large is refused at the first byte too many, and nothing stays', async () => {
  let sent = 0;
  async function* endless() {
    for (;;) {
      sent += 400;
      yield Buffer.alloc(400);
    }
  }
  await assert.rejects(files.put(acme, endless(), info), { code: 'FH_FILE_TOO_LARGE', status: 413 });
  assert.ok(sent <= 1_200 + 65_536 * 3);
  assert.deepEqual([await rows(acme), await onDisk()], [[], []]);
  const exact = await files.put(acme, bytes(Buffer.alloc(1_000)), info);
  assert.equal(exact.sizeBytes, 1_000);
});

test('a client that goes away leaves nothing', async () => {
  async function* broken() {
    yield Buffer.from('some');
    throw new Error('client gone');
  }
  await assert.rejects(files.put(acme, broken(), info), /client gone/);
  assert.deepEqual([await rows(acme), await onDisk()], [[], []]);
});

test('a full disk is 507 wherever it shows, and no row is left', async () => {
  for (const point of ['objects.write', 'objects.staged', 'objects.linked', 'files.published', 'files.inserted']) {
    armFailpoints(`${point}=enospc`);
    await assert.rejects(files.put(acme, bytes(point), info), { code: 'FH_STORAGE_FULL', status: 507 }, point);
    assert.deepEqual(await rows(acme), [], point);
  }
  await makeOld();
  await vault.sweep(acme);
  assert.deepEqual(await onDisk(), []);
});

test('content left without a row is swept when it is old; content in use never', async () => {
  armFailpoints('files.inserted=error');
  await assert.rejects(files.put(acme, bytes('orphan'), info), /failpoint/);
  assert.equal((await onDisk()).length, 1);
  assert.equal(await vault.sweep(acme), 0);
  const kept = await files.put(acme, bytes('kept'), info);
  const twin = await files.put(acme, bytes('twin'), info);
  const same = await files.put(acme, bytes('twin'), info);
  await files.remove(acme, twin.fileId);
  await makeOld();
  assert.equal(await vault.sweep(acme), 1);
  assert.deepEqual([await read(acme, kept.fileId), await read(acme, same.fileId)], ['kept', 'twin']);
  await files.remove(acme, same.fileId);
  assert.equal(await vault.sweep(acme), 1);
  assert.equal((await onDisk()).length, 1);
});

test('what a sweep removes is told before it goes, and is unneeded until it is there or in a row again', async () => {
  const told: [TenantId, readonly string[]][] = [];
  const telling = await createFileVault({
    ...deps,
    onUnreferenced: async (tenantId, names) => {
      assert.equal((await onDisk()).length, 2, 'nothing of it is gone yet');
      told.push([tenantId, names]);
    },
  });
  // The same content in both tenants, under names of their own.
  const mine = await files.put(acme, bytes('shared words'), info);
  await files.put(globex, bytes('shared words'), info);
  await files.remove(acme, mine.fileId);
  await makeOld();
  assert.deepEqual([await telling.sweep(acme), await telling.sweep(globex)], [1, 0]);
  const [[tenantId, names]] = told as [[TenantId, string[]]];
  assert.deepEqual([tenantId, names.length, told.length], [acme, 1, 1]);
  assert.deepEqual(await telling.findUnneeded(acme, names), names);
  const again = await files.put(acme, bytes('shared words'), info);
  assert.deepEqual(await telling.findUnneeded(acme, names), []);
  await files.remove(acme, again.fileId);
  assert.deepEqual(await telling.findUnneeded(acme, names), [], 'the vault still has it');
  await makeOld();
  await telling.sweep(acme);
  assert.deepEqual(await telling.findUnneeded(acme, names), names);
});

test('a sweep beside uploads of the same content never takes it away', async () => {
  // A clock a year ahead makes every object old, so that only the lock protects what is being put.
  const later: Clock = { ...systemClock, now: () => systemClock.now() + 365 * 24 * 3_600_000 };
  const eager = await createFileVault({ ...deps, clock: later });
  for (let round = 0; round < 5; round++) {
    const old = await files.put(acme, bytes('contended'), info);
    await files.remove(acme, old.fileId);
    // Staged bytes of the upload look old as well, so the sweep may take those: then the upload fails as a whole.
    const [put] = await Promise.allSettled([files.put(acme, bytes('contended'), info), eager.sweep(acme)]);
    if (put.status === 'fulfilled') assert.equal(await read(acme, put.value.fileId), 'contended');
    for (const { file_id } of await rows(acme)) await files.remove(acme, file_id as FileId);
  }
});

test('ids that are no ids find nothing and reach no path', async () => {
  for (const id of [
    '',
    'fil_',
    '../../etc/passwd',
    `fil_${'/'.repeat(26)}`,
    `fil_${'a'.repeat(25)}\0`,
    `usr_${'a'.repeat(26)}`,
  ]) {
    assert.equal(await files.find(acme, id as FileId), undefined);
    assert.equal(await files.open(acme, id as FileId), undefined);
    await files.remove(acme, id as FileId);
  }
  for (const id of ['', '..', '../ten', 'ten_../../../../../../../../etc'])
    await assert.rejects(async () => vault.removeTenantFiles(id as TenantId), TypeError);
});

test('an exported tenant is imported under another key, equal to the byte', async () => {
  await files.put(acme, bytes('one'), info);
  await files.put(acme, bytes('one'), info);
  await files.put(acme, bytes(Buffer.alloc(150_000, 'x')), { ...info, maxBytes: 200_000 });
  const seen: string[] = [];
  for await (const { sha256, content } of vault.readAll(acme)) {
    seen.push(sha256);
    await vault.importFile(globex, sha256, content);
  }
  assert.equal(seen.length, 2);
  // A snapshot that was taken before a file was removed can still be exported.
  for (const { file_id } of await rows(acme)) await files.remove(acme, file_id as FileId);
  const again = await Array.fromAsync(vault.readAll(acme, seen), ({ sha256 }) => sha256);
  assert.deepEqual(again, seen);
  await assert.rejects(vault.importFile(globex, seen[0]!, bytes('other')), { code: 'FH_FILE_DAMAGED' });
});

test("a clone has its own copies; deleting the original's leaves them", async () => {
  const file = await files.put(acme, bytes('shared'), info);
  await tenants.databases.platform.transact(globex, (db) =>
    db.query(
      `INSERT INTO freehold.files (file_id, name, media_type, size_bytes, sha256, created_at, created_by)
       VALUES ($1, $2, $3, $4, decode($5, 'hex'), $6, 'system')`,
      [file.fileId, file.name, file.mediaType, file.sizeBytes, file.sha256, file.createdAt],
    ),
  );
  assert.deepEqual(await vault.findMissing(globex), [file.sha256]);
  assert.equal(await vault.copyTenantFiles(acme, globex), 1);
  assert.equal(await vault.copyTenantFiles(acme, globex), 1);
  assert.deepEqual(await vault.findMissing(globex), []);
  await vault.removeTenantFiles(acme);
  await vault.removeTenantFiles(acme);
  assert.equal(await read(globex, file.fileId), 'shared');
  assert.equal((await onDisk()).length, 1);
});

test('an abandoned download closes its file', async () => {
  const file = await files.put(acme, bytes(Buffer.alloc(900_000)), { ...info, maxBytes: 1_000_000 });
  const openFiles = async () => (await readdir('/proc/self/fd')).length;
  const before = await openFiles();
  for (let i = 0; i < 5; i++) {
    const opened = await files.open(acme, file.fileId);
    for await (const _ of opened!.content) break;
  }
  const end = performance.now() + 5_000;
  while ((await openFiles()) > before && performance.now() < end) await new Promise(setImmediate);
  assert.ok((await openFiles()) <= before);
});
