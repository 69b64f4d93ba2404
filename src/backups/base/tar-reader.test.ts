import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Header, pack } from 'tar-stream';
import { createTarReader, type TarEntry } from './tar-reader.ts';

async function makeArchive(entries: readonly [Partial<Header> & { name: string }, Buffer?][]): Promise<Buffer> {
  const tar = pack();
  for (const [header, content] of entries) tar.entry(header, content ?? Buffer.alloc(0));
  tar.finalize();
  return buffer(tar);
}

/** Reads an archive cut at the given places; checks that the parts are the archive. */
function readAll(archive: Buffer, cuts: readonly number[]) {
  const reader = createTarReader();
  const entries: (TarEntry & { content: Buffer })[] = [];
  const raw: Buffer[] = [];
  let content: Buffer[] = [];
  let at = 0;
  for (const cut of [...cuts, archive.length]) {
    for (const part of reader.parts(archive.subarray(at, cut))) {
      if (part.kind !== 'end-of-entry') raw.push(part.bytes);
      if (part.kind === 'content') content.push(part.bytes);
      if (part.kind !== 'end-of-entry') continue;
      entries.push({ ...part.entry, content: Buffer.concat(content) });
      content = [];
    }
    at = cut;
  }
  reader.end();
  return { entries, raw: Buffer.concat(raw) };
}

test('every entry comes whole, wherever the archive is cut', async () => {
  const files = fc.array(
    fc.record({ name: fc.stringMatching(/^[a-z0-9_]{1,30}(\/[a-z0-9_]{1,30}){0,2}$/), size: fc.nat(3_000) }),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(files, fc.array(fc.nat(40_000), { maxLength: 20 }), async (wanted, places) => {
      const archive = await makeArchive(
        wanted.map(({ name, size }) => [
          { name },
          createHash('shake256', { outputLength: size }).update(name).digest(),
        ]),
      );
      const cuts = places.filter((place) => place < archive.length).sort((a, b) => a - b);
      const { entries, raw } = readAll(archive, cuts);
      assert.deepEqual(
        entries.map(({ path, sizeBytes }) => ({ path, sizeBytes })),
        wanted.map(({ name, size }) => ({ path: name, sizeBytes: size })),
      );
      for (const { path, sizeBytes, content } of entries) {
        assert.deepEqual(content, createHash('shake256', { outputLength: sizeBytes }).update(path).digest());
      }
      assert.deepEqual(raw, archive.subarray(0, raw.length));
    }),
    { numRuns: 100 },
  );
});

test('names as PostgreSQL writes them', async () => {
  const archive = await makeArchive([
    [{ name: './pg_wal/archive_status/', type: 'directory' }],
    [{ name: 'base/5/', type: 'directory' }],
  ]);
  const { entries } = readAll(archive, []);
  assert.deepEqual(
    entries.map(({ path, kind }) => `${kind} ${path}`),
    ['folder pg_wal/archive_status', 'folder base/5'],
  );
});

test('a size beyond octal digits', () => {
  const reader = createTarReader();
  const block = header('base/5/1', 9 * 1024 ** 3);
  const [part] = [...reader.parts(block)];
  assert.equal(part?.kind === 'header' && part.entry.sizeBytes, 9 * 1024 ** 3);
  assert.throws(() => reader.end(), { code: 'FH_BASE_BACKUP_MISMATCH' });
});

/** Of a plain file, with the size as a binary number. */
function header(name: string, sizeBytes: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block[124] = 0x80;
  block.writeUIntBE(sizeBytes, 130, 6);
  block.write('0', 156);
  block.write('ustar\u000000', 257);
  block.write('        ', 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

for (const [what, entry] of [
  ['a symbolic link', { name: 'pg_tblspc/16400', type: 'symlink', linkname: '/elsewhere' }],
  ['a hard link', { name: 'base/5/1', type: 'link', linkname: 'PG_VERSION' }],
  ['a path that leaves the folder', { name: 'base/../../x' }],
  ['a path that leaves at once', { name: '../x' }],
  ['an absolute path', { name: '/etc/passwd' }],
  ['a device', { name: 'base/5/1', type: 'character-device' }],
  ['a name with an empty segment', { name: 'base//1' }],
] as const) {
  test(`refuses ${what}`, async () => {
    const archive = await makeArchive([[entry]]);
    assert.throws(() => readAll(archive, []), { code: 'FH_BASE_BACKUP_MISMATCH' });
  });
}

test('refuses an archive that is cut, changed, goes on after its end, or is none', async () => {
  const archive = await makeArchive([[{ name: 'base/5/1' }, Buffer.alloc(700, 'x')]]);
  const refused = (bytes: Buffer) => assert.throws(() => readAll(bytes, []), { code: 'FH_BASE_BACKUP_MISMATCH' });
  for (const length of [0, 100, 512, 1_000, 1_536, 2_048]) refused(archive.subarray(0, length));
  refused(Buffer.concat([archive, archive]));
  refused(Buffer.alloc(2_048, 'x'));
  const changed = Buffer.from(archive);
  changed[0]! ^= 1;
  refused(changed);
});
