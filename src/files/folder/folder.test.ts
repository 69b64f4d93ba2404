import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { after, before, beforeEach, test } from 'node:test';
import { extract, type Header, type Pack, pack } from 'tar-stream';
import { type CancelSignal, systemClock, type TenantId } from '#src/kernel/index.ts';
import { startTwoTenants, type TwoTenants } from '../../../test/support/two-tenants.ts';
import { createFileVault, type FileVault } from '../index.ts';
import { createTenantFolders, type TenantFolders, type TenantFoldersDeps } from './index.ts';

let tenants: TwoTenants;
let root: string;
let deps: TenantFoldersDeps;
let folders: TenantFolders;
let vault: FileVault;
let acme: TenantId;
let globex: TenantId;
const limits = { maxBytes: 10_000_000 };

before(async () => {
  tenants = await startTwoTenants();
  acme = tenants.acme.tenantId;
  globex = tenants.globex.tenantId;
});
after(() => tenants.stop());

beforeEach(async (context) => {
  root = await mkdtemp(join(tmpdir(), 'freehold-folder-'));
  (context as unknown as { after(fn: () => Promise<void>): void }).after(() => rm(root, { recursive: true }));
  for (const tenantId of [acme, globex])
    await tenants.databases.platform.transact(tenantId, (db) => db.query('DELETE FROM freehold.app_folder'));
  const filesKeyOf = async (tenantId: TenantId) => Buffer.alloc(32, tenantId === acme ? 1 : 2);
  deps = { root, databases: tenants.databases, filesKeyOf, clock: systemClock };
  folders = await createTenantFolders(deps);
  vault = await createFileVault(deps);
});

type Entry = Partial<Header> & Pick<Header, 'name'> & { readonly content?: string | Buffer };

function tarOf(...entries: readonly Entry[]): AsyncIterable<Uint8Array> {
  const tar: Pack = pack();
  for (const { content, ...given } of entries) {
    // Not the time of the call, which the next call does not have.
    const header = { mtime: new Date(1.5e12), ...given };
    if (content === undefined) tar.entry(header);
    else tar.entry(header, content as string);
  }
  tar.finalize();
  return tar as AsyncIterable<Uint8Array>;
}
async function* bytes(...parts: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* parts;
}
const usual: readonly Entry[] = [
  { name: './', type: 'directory', mode: 0o700 },
  { name: './a/', type: 'directory', mode: 0o2750, mtime: new Date(1e12) },
  { name: './a/one.txt', content: 'one', mode: 0o4755, mtime: new Date(1e12), uid: 0, gid: 0 },
  { name: './a/same.txt', content: 'one', mode: 0o600 },
  { name: './a/hard', type: 'link', linkname: './a/one.txt' },
  { name: './a/soft', type: 'symlink', linkname: '/etc/passwd', mode: 0o777 },
  { name: './A', content: '' },
  { name: './none', content: 'x', mode: 0o100000 },
  { name: './deep/er/Übel\n"name', content: Buffer.alloc(1_500_000, 7) },
  { name: './fifo', type: 'fifo' },
  { name: `./long/${'n'.repeat(200)}/${'m'.repeat(255)}`, content: 'long' },
];

async function unpacked(tenantId: TenantId) {
  const found: Record<string, unknown> = {};
  const tar = extract();
  const reading = (async () => {
    for await (const entry of tar) {
      const { name, type, mode, linkname, mtime } = entry.header;
      const content = createHash('sha256')
        .update(await buffer(entry as AsyncIterable<Uint8Array>))
        .digest('hex')
        .slice(0, 8);
      found[name] = [type, mode, type === 'file' ? content : (linkname ?? ''), mtime.getTime()];
    }
  })();
  tar.end(await buffer(folders.layOutFolder(tenantId)));
  await reading;
  return found;
}
const rowsOf = (tenantId: TenantId) =>
  tenants.databases.platform.read(tenantId, (db) =>
    db.query<{ path: string }>(
      'SELECT path, kind, mode, size_bytes, sha256, link_target, kept_at FROM freehold.app_folder ORDER BY path',
    ),
  );

test('what is kept is laid out again: contents, permissions, times, links as text; of each tenant its own', async () => {
  const kept = await folders.keepFolder(acme, tarOf(...usual), limits);
  assert.deepEqual(kept, { files: 7, bytes: 1_500_014, changed: true });
  await folders.keepFolder(
    globex,
    tarOf({ name: 'a/', type: 'directory' }, { name: 'a/one.txt', content: 'of globex' }),
    limits,
  );
  const hash = (content: string | Buffer) => createHash('sha256').update(content).digest('hex').slice(0, 8);
  const found = await unpacked(acme);
  assert.deepEqual(found['a/'], ['directory', 0o750, '', 1e12]);
  assert.deepEqual(found['a/one.txt'], ['file', 0o755, hash('one'), 1e12]);
  assert.deepEqual(found['a/hard'], ['file', 0o755, hash('one'), 1e12]);
  assert.deepEqual((found['a/soft'] as string[]).slice(0, 3), ['symlink', 0o777, '/etc/passwd']);
  assert.deepEqual((found['deep/er/Übel\n"name'] as string[])[2], hash(Buffer.alloc(1_500_000, 7)));
  assert.ok(found['deep/'] && found['deep/er/'] && found.A && !found.fifo);
  assert.deepEqual((found[`long/${'n'.repeat(200)}/${'m'.repeat(255)}`] as string[])[2], hash('long'));
  assert.deepEqual((await unpacked(globex))['a/one.txt']?.toString().split(',')[2], hash('of globex'));
  // What was laid out is kept as what it was.
  const again = await folders.keepFolder(acme, folders.layOutFolder(acme), limits);
  assert.deepEqual(again, { ...kept, changed: false });
  // Only what differs is written.
  const before = new Map((await rowsOf(acme)).map((row) => [row.path, row]));
  await folders.keepFolder(
    acme,
    tarOf(...usual.filter(({ name }) => name !== './A' && !name.startsWith('./long')), { name: 'A', content: 'more' }),
    limits,
  );
  const now = await rowsOf(acme);
  assert.deepEqual(
    now.filter((row) => JSON.stringify(row) !== JSON.stringify(before.get(row.path))).map(({ path }) => path),
    ['A'],
  );
  assert.ok(!now.some(({ path }) => path.startsWith('long')));
});

const good = { name: 'good', content: 'good' };
const big = Buffer.alloc(600);
/** Of a whole tar of two entries. */
const cut = (length: number) => async (): Promise<AsyncIterable<Uint8Array>> =>
  bytes((await buffer(tarOf(good, { name: 'zeros', content: Buffer.alloc(2_048) }))).subarray(0, length));
const changed = (change: (tar: Buffer) => void) => async () => {
  const tar = await buffer(tarOf({ name: 'x', content: big }));
  change(tar);
  tar.write('        ', 148, 'latin1');
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes(tar);
};
const of =
  (...entries: Entry[]) =>
  async () =>
    tarOf(good, ...entries);
const hostile: Record<string, readonly [() => Promise<AsyncIterable<Uint8Array>>, code?: string]> = {
  'leads above': [of({ name: '../x', content: 'x' })],
  'leads above in the middle': [of({ name: 'a/../../x', content: 'x' })],
  'is absolute': [of({ name: '/etc/passwd', content: 'x' })],
  'is absolute behind a dot': [of({ name: './/../etc', content: 'x' })],
  'has an empty part': [of({ name: 'a//b', content: 'x' })],
  'has a NUL': [of({ name: 'x', content: 'x', pax: { path: 'a\0b' } })],
  'is not UTF-8': [changed((tar) => void tar.writeUInt8(0xff, 0))],
  'has a part that is too long': [of({ name: 'x', content: 'x', pax: { path: 'n'.repeat(256) } })],
  'is too long': [of({ name: 'x', content: 'x', pax: { path: `${'n/'.repeat(2_100)}n` } })],
  'is there twice': [of({ name: './good', content: 'other' })],
  'is below a link': [of({ name: 'l', type: 'symlink', linkname: '/etc' }, { name: 'l/passwd', content: 'x' })],
  'is below a file': [of({ name: 'good/x', content: 'x' })],
  'becomes a link after it was a folder': [
    of({ name: 'l/x', content: 'x' }, { name: 'l', type: 'symlink', linkname: '/' }),
  ],
  'is a character device': [of({ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 })],
  'is a block device': [of({ name: 'sda', type: 'block-device' })],
  'is of an unknown kind': [changed((tar) => void tar.writeUInt8(0x53, 156))],
  'is sparse': [of({ name: 'x', content: 'x', pax: { 'GNU.sparse.major': '1' } })],
  'is a hard link to nothing': [of({ name: 'h', type: 'link', linkname: 'none' })],
  'is a hard link to outside': [of({ name: 'h', type: 'link', linkname: '../../etc/shadow' })],
  'is a hard link to a link': [
    of({ name: 'l', type: 'symlink', linkname: '/etc/shadow' }, { name: 'h', type: 'link', linkname: 'l' }),
  ],
  'is a link to nowhere': [changed((tar) => void tar.write('2', 156))],
  'has a wrong checksum': [async () => bytes((await buffer(tarOf(good))).fill(65, 0, 4))],
  'says a size below nothing': [changed((tar) => void tar.fill(0xff, 124, 135))],
  'is no tar': [async () => bytes(Buffer.from('PK'.repeat(2_000)))],
  'is nothing': [async () => bytes()],
  'is cut in a header': [cut(300)],
  'is cut in a content': [cut(514)],
  'is cut between entries': [cut(1_024)],
  'is cut behind a content of zeros': [cut(1_024 + 512 + 2_048)],
  'is cut in the marks of its end': [cut(1_024 + 512 + 2_048 + 512)],
  'is larger than allowed': [of({ name: 'big', content: Buffer.alloc(10_000_000) }), 'FH_FOLDER_TOO_LARGE'],
  'is larger by hard links': [
    of({ name: 'b', content: Buffer.alloc(6_000_000) }, { name: 'c', type: 'link', linkname: 'b' }),
    'FH_FOLDER_TOO_LARGE',
  ],
  'says that it is huge': [changed((tar) => void tar.write('77777777777', 124)), 'FH_FOLDER_TOO_LARGE'],
};

test('a tar that is not good changes nothing, and says why', async () => {
  await folders.keepFolder(acme, tarOf({ name: 'last', content: 'good' }), limits);
  const before = await rowsOf(acme);
  for (const [what, [make, code = 'FH_FOLDER_INVALID']] of Object.entries(hostile)) {
    await assert.rejects(async () => folders.keepFolder(acme, await make(), limits), { code }, what);
    assert.deepEqual(await rowsOf(acme), before, what);
  }
  await assert.rejects(
    folders.keepFolder(acme, tarOf(...Array.from({ length: 11 }, (_, n) => ({ name: `f${n}`, content: 'x' }))), {
      ...limits,
      maxEntries: 10,
    }),
    { code: 'FH_FOLDER_TOO_LARGE' },
  );
  // Of who gives the tar, and of who stores it, as it is.
  const failing = (async function* () {
    yield (await buffer(tarOf(good))).subarray(0, 1_024);
    throw Object.assign(new Error('tar ended with 2'), { code: 'TAR' });
  })();
  await assert.rejects(folders.keepFolder(acme, failing, limits), { code: 'TAR' });
  assert.deepEqual(await rowsOf(acme), before);
  assert.deepEqual(Object.keys(await unpacked(acme)), ['last']);
  // No names of ours among what a tar says: nothing was written by name.
  assert.deepEqual((await readdir(root)).sort(), ['.staging', acme].sort());
});

test('a name that has no end is refused at its first bytes, and is held in memory nowhere', async () => {
  for (const typeflag of ['x', 'g', 'L', 'K']) {
    let givenBytes = 0;
    async function* endless(): AsyncIterable<Uint8Array> {
      yield headerOf(typeflag, 8 * 2 ** 30 - 1);
      for (const chunk = Buffer.alloc(65_536, 0x61); ; givenBytes += chunk.length) yield chunk;
    }
    await assert.rejects(folders.keepFolder(acme, endless(), { maxBytes: 2 ** 40 }), { code: 'FH_FOLDER_INVALID' });
    assert.ok(givenBytes < 5 * 2 ** 20, `${typeflag}: ${givenBytes} bytes were read`);
  }
});

/** A header by itself: POSIX.1-2017, pax, "ustar Interchange Format"; `L` and `K` are GNU tar's. */
function headerOf(typeflag: string, sizeBytes: number): Buffer {
  const header = Buffer.alloc(512);
  header.write('./long');
  header.write('0000644\0', 100);
  header.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write(typeflag, 156);
  header.write('ustar\u000000', 257);
  header.write('        ', 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

test('contents of the folder count wherever contents of files do', async () => {
  await folders.keepFolder(acme, tarOf({ name: 'a', content: 'first' }), limits);
  const onDisk = async () => {
    const entries = await readdir(join(root, acme), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  };
  for (const path of await onDisk()) await utimes(path, 0, 0);
  assert.equal(await vault.sweep(acme), 0);
  assert.deepEqual(await vault.findMissing(acme), []);
  // A clone: the same rows.
  await folders.keepFolder(globex, tarOf({ name: 'a', content: 'first' }), limits);
  await vault.removeTenantFiles(globex);
  assert.equal((await vault.findMissing(globex)).length, 1);
  assert.equal(await vault.copyTenantFiles(acme, globex), 1);
  assert.deepEqual(await unpacked(globex), await unpacked(acme));

  await folders.keepFolder(acme, tarOf({ name: 'a', content: 'second' }), limits);
  for (const path of await onDisk()) await utimes(path, 0, 0);
  assert.equal(await vault.sweep(acme), 1);
  assert.deepEqual(await vault.findMissing(acme), []);
  // Missing or another: the tar has no end.
  const [path] = await onDisk();
  await writeFile(path!, 'rubbish');
  await assert.rejects(buffer(folders.layOutFolder(acme)));
  await rm(path!);
  await assert.rejects(buffer(folders.layOutFolder(acme)), { code: 'FH_FILE_DAMAGED' });
});

test('what is swept between reading and writing rows is noticed', async () => {
  await folders.keepFolder(acme, tarOf({ name: 'a', content: 'gone soon' }), limits);
  await folders.keepFolder(acme, tarOf({ name: 'b', content: 'other' }), limits);
  const sweeping = await createTenantFolders({
    ...deps,
    databases: {
      platform: {
        ...tenants.databases.platform,
        async transact(tenantId, fn, options?: { signal?: CancelSignal }) {
          await vault.removeTenantFiles(tenantId);
          return tenants.databases.platform.transact(tenantId, fn, options);
        },
      },
    },
  });
  await assert.rejects(sweeping.keepFolder(acme, tarOf({ name: 'a', content: 'gone soon' }), limits), {
    code: 'FH_FOLDER_MOVED',
  });
  assert.deepEqual(
    (await rowsOf(acme)).map(({ path }) => path),
    ['b'],
  );
});

test('contents come to every region before the rows where commits wait for it, and soon where they do not', async () => {
  const brought: string[] = [];
  const keeping = await createTenantFolders({
    ...deps,
    keepInRegions: async (_, name) => {
      assert.equal((await rowsOf(acme)).length, 0);
      brought.push(name);
    },
  });
  await keeping.keepFolder(
    acme,
    tarOf({ name: 'a', content: 'a' }, { name: 'b', content: 'b' }, { name: 'c', content: 'a' }),
    limits,
  );
  assert.equal(brought.length, 2);
  const away = await createTenantFolders({ ...deps, keepInRegions: async () => Promise.reject(new Error('away')) });
  assert.equal((await away.keepFolder(acme, tarOf({ name: 'd', content: 'd' }), limits)).changed, true);
});

const script = `
  import { text } from 'node:stream/consumers';
  import { pack } from 'tar-stream';
  import { armFailpoints, systemClock } from '#src/kernel/index.ts';
  import { createTenantFolders } from '#src/files/index.ts';
  import { connectTestTenants } from './test/support/two-tenants.ts';
  const { targets, root, tenantId, point } = JSON.parse(await text(process.stdin));
  armFailpoints(point + '=kill');
  const folders = await createTenantFolders({
    root, databases: connectTestTenants(targets), filesKeyOf: async () => Buffer.alloc(32, 1), clock: systemClock,
  });
  const tar = pack();
  tar.entry({ name: 'new' }, 'new content');
  tar.entry({ name: 'newer' }, 'newer content');
  tar.finalize();
  await folders.keepFolder(tenantId, tar, { maxBytes: 1000 });
`;
for (const point of ['objects.staged', 'files.folder.contents', 'files.folder.rows', 'files.folder.committed']) {
  test(`killed at ${point}: all of the folder or what was kept before, and no content is without need for long`, async () => {
    await folders.keepFolder(acme, tarOf({ name: 'old', content: 'old content' }), limits);
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      cwd: join(import.meta.dirname, '../../..'),
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    child.stdin.end(JSON.stringify({ targets: tenants.targets, root, tenantId: acme, point }));
    const [problems, [, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    assert.equal(signal, 'SIGKILL', `the child passed ${point} alive: ${problems}`);
    const expected = point === 'files.folder.committed' ? ['new', 'newer'] : ['old'];
    assert.deepEqual(Object.keys(await unpacked(acme)), expected);
    await vault.sweep(acme, -1_000);
    assert.deepEqual(await vault.findMissing(acme), []);
    assert.equal((await folders.keepFolder(acme, tarOf({ name: 'then', content: 'then' }), limits)).changed, true);
    assert.deepEqual(Object.keys(await unpacked(acme)), ['then']);
  });
}
