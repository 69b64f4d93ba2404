import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { nextRunOf, parsePluginManifest } from './manifest.ts';
import { parsePluginPackage, readPluginSource } from './package.ts';

let top: string;
before(async () => {
  top = await mkdtemp(join(tmpdir(), 'fh-plugin-package-'));
});
after(() => rm(top, { recursive: true }));

const least = { name: 'probe', version: '1.0.0', entry: 'main.mjs' };
const manifestOf = (change: object) => parsePluginManifest(Buffer.from(JSON.stringify({ ...least, ...change })));
type Entry = Parameters<ReturnType<typeof pack>['entry']>[0] & { content?: string };
async function archive(...entries: Entry[]): Promise<Buffer> {
  const made = pack();
  made.entry({ name: 'freehold.plugin.json' }, JSON.stringify(least));
  for (const { content = '', ...header } of entries) made.entry(header, content);
  made.finalize();
  return buffer(made);
}

test('the example of docs/plugins.md is one, and says when it is due', () => {
  const example = /```json\n(.*?)```/s.exec(
    readFileSync(join(import.meta.dirname, '../../docs/plugins.md'), 'utf8'),
  )![1]!;
  const manifest = parsePluginManifest(Buffer.from(example));
  assert.deepEqual(manifest.capabilities.outgoing, ['hooks.example.com']);
  assert.equal(nextRunOf(manifest, new Date('2026-11-23T12:00:00Z'))?.toISOString(), '2026-11-30T06:00:00.000Z');
  assert.deepEqual(manifestOf({}), {
    ...least,
    title: 'probe',
    capabilities: { api: undefined, events: [], schedule: undefined, outgoing: [] },
    limits: { memoryMb: 128, timeoutSeconds: 30 },
  });
});

test('everything that is wrong with a manifest is said at once', () => {
  const wrong = {
    name: 'Nope',
    entry: '../main.mjs',
    helth: 1,
    capabilities: {
      api: 'all',
      events: ['no.such'],
      schedule: '* * * * * *',
      outgoing: ['10.0.0.1', 'localhost', '*.example.com', 'Example.com'],
    },
    limits: { memoryMb: 4_096, timeoutSeconds: '9' },
  };
  assert.throws(
    () => manifestOf(wrong),
    (error: Error & { code: string }) => {
      assert.equal(error.code, 'FH_PLUGIN_INVALID');
      for (const part of [
        'name',
        'entry',
        'helth',
        'capabilities.api',
        'no.such',
        'schedule',
        '10.0.0.1',
        'localhost',
        '*.example',
        'Example',
        'memoryMb',
        'timeoutSeconds',
      ])
        assert.ok(error.message.includes(part), `${part}: ${error.message}`);
      return true;
    },
  );
  for (const bytes of ['', 'null', '[]', '{', '"x"', '{"name":1e999}', `{"x":"${'y'.repeat(70_000)}"}`])
    assert.throws(() => parsePluginManifest(Buffer.from(bytes)), { code: 'FH_PLUGIN_INVALID' });
  for (const schedule of ['', 'x', '* * * *', '61 * * * *', '@daily', '*/1 * * * * *', '0 0 31 2 *', '1 2 3 4 5;6'])
    assert.throws(() => manifestOf({ capabilities: { schedule } }), { code: 'FH_PLUGIN_INVALID' }, schedule);
  for (const entry of ['/etc/x.js', 'a/../b.js', 'a//b.js', 'main.ts', '.js', 'a\\b.js', '-e x.js'])
    assert.throws(() => manifestOf({ entry }), { code: 'FH_PLUGIN_INVALID' }, entry);
});

test('one content has one digest, from a folder, a tar and a .tgz', async () => {
  const folder = join(top, 'p');
  await mkdir(join(folder, 'lib'), { recursive: true });
  await mkdir(join(folder, '.git'));
  await writeFile(join(folder, '.git', 'x'), '');
  await writeFile(join(folder, 'freehold.plugin.json'), JSON.stringify(least));
  await writeFile(join(folder, 'main.mjs'), 'export default 1');
  await writeFile(join(folder, 'lib', 'x.mjs'), '');
  const fromFolder = await parsePluginPackage(await readPluginSource(folder));
  const sent = await archive(
    { name: './lib/x.mjs', mode: 0o4777, uid: 0 },
    { name: 'lib', type: 'directory' },
    { name: 'main.mjs', content: 'export default 1' },
  );
  const digests = [sent, gzipSync(sent)].map(async (bytes) => (await parsePluginPackage(bytes)).digest);
  assert.deepEqual(new Set(await Promise.all(digests)), new Set([fromFolder.digest]));
  await symlink('/etc/passwd', join(folder, 'link'));
  await assert.rejects(readPluginSource(folder), /"link" is neither/);
});

test('archives that lead elsewhere, pretend or are none are refused', async () => {
  const main = { name: 'main.mjs', content: 'x' };
  const refused: [Buffer, RegExp][] = [
    [await archive(main, { name: '../x' }), /use letters/],
    [await archive(main, { name: '/etc/x' }), /use letters/],
    [await archive(main, { name: 'a/./b' }), /use letters/],
    [await archive(main, { name: 'l', type: 'symlink', linkname: '/etc' }), /neither/],
    [await archive(main, { name: 'l', type: 'link', linkname: 'main.mjs' }), /neither/],
    [await archive(main, { name: 'd', type: 'character-device' }), /neither/],
    [await archive(main, main), /twice/],
    [await archive(main, { name: 'main.mjs/x' }), /a file and a folder/],
    [await archive(), /which is not there/],
    [await archive(main, { name: 'big', content: 'x'.repeat(9 * 2 ** 20) }), /more than 8 MiB/],
    [gzipSync(Buffer.alloc(64 * 2 ** 20)), /more than 8 MiB/],
    [Buffer.from([0x1f, 0x8b, 1, 2, 3]), /no \.tgz/],
    [Buffer.from('x'.repeat(2_000)), /no tar|no freehold\.plugin/],
    [Buffer.alloc(0), /no freehold\.plugin|no tar/],
    [(await archive(main)).subarray(0, 700), /no tar|no freehold|not there/],
  ];
  for (const [index, [bytes, reason]] of refused.entries())
    await assert.rejects(parsePluginPackage(bytes), (error: Error & { code: string }) => {
      assert.equal(error.code, 'FH_PLUGIN_INVALID', `${index}`);
      assert.match(error.message, reason);
      return true;
    });
});
