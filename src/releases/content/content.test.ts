import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { pack } from 'tar-stream';
import { FreeholdError } from '#src/kernel/index.ts';
import { checkFolder, inspectVersion, packFolder, unpackVersion } from './index.ts';

let top: string;
let count = 0;
let source: string;
before(async () => {
  top = await mkdtemp(join(tmpdir(), 'freehold-content-'));
});
after(() => rm(top, { recursive: true, force: true }));
const fresh = () => join(top, `f${count++}`);
const manifest = JSON.stringify({ name: 'tickets', version: '1.0', start: 'node .' });
beforeEach(async () => {
  source = fresh();
  await mkdir(join(source, 'bin'), { recursive: true });
  await mkdir(join(source, 'empty'));
  await writeFile(join(source, 'freehold.app.json'), manifest);
  await writeFile(join(source, 'bin/run'), '#!/bin/sh\n', { mode: 0o755 });
  await writeFile(join(source, 'zero'), '');
  await symlink('../freehold.app.json', join(source, 'bin/link'));
});

async function sent(folder = source): Promise<string> {
  const { entries, problems } = await checkFolder(folder);
  assert.deepEqual(problems, []);
  const path = fresh();
  await pipeline(packFolder(folder, entries), createWriteStream(path));
  return path;
}
type Header = Parameters<ReturnType<typeof pack>['entry']>[0];
/** An archive that `app add` would not make. */
async function forged(...entries: (Header & { content?: string })[]): Promise<string> {
  const archive = pack();
  archive.entry({ name: 'freehold.app.json' }, manifest);
  for (const { content, ...header } of entries) archive.entry(header, content ?? '');
  archive.finalize();
  const path = fresh();
  await pipeline(archive, createWriteStream(path));
  return path;
}
/** Of a block that is a header (POSIX.1-1988 ustar). */
function writeChecksum(block: Buffer): void {
  if (block.toString('latin1', 257, 262) !== 'ustar') return;
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
/** Refused by both readers, and nothing was made. */
async function refused(archive: string, reason: RegExp): Promise<void> {
  const folder = join(fresh(), 'v');
  await mkdir(join(folder, '..'));
  const isRefusal = (error: unknown) =>
    error instanceof FreeholdError && error.code === 'FH_APP_CONTENT_INVALID' && reason.test(error.message);
  await assert.rejects(inspectVersion(archive), isRefusal, String(reason));
  await assert.rejects(unpackVersion(archive, folder), isRefusal, String(reason));
  assert.deepEqual(await readdir(join(folder, '..')), []);
}

describe('the content of a version', () => {
  it('arrives as it was: files, folders, links, what is executable', async () => {
    const long = `deep/${'n'.repeat(120)}`;
    await mkdir(join(source, long), { recursive: true });
    await writeFile(join(source, long, `${'ü'.repeat(60)}.txt`), 'x'.repeat(100_000));
    const archive = await sent();
    const folder = fresh();
    await unpackVersion(archive, folder);
    const list = (at: string) => readdir(at, { recursive: true }).then((names) => names.sort());
    assert.deepEqual(await list(folder), await list(source));
    assert.equal(await readFile(join(folder, 'freehold.app.json'), 'utf8'), manifest);
    assert.equal((await readFile(join(folder, long, `${'ü'.repeat(60)}.txt`))).length, 100_000);
    assert.equal(await readlink(join(folder, 'bin/link')), '../freehold.app.json');
    const mode = async (path: string) => (await lstat(join(folder, path))).mode & 0o7777;
    assert.deepEqual(await Promise.all(['.', 'bin', 'bin/run', 'zero'].map(mode)), [0o755, 0o755, 0o755, 0o644]);
    const { manifest: found } = await inspectVersion(archive);
    assert.equal(found.name, 'tickets');
    await assert.rejects(unpackVersion(archive, folder), /is there already/);
  });

  it('has a digest that only the content decides', async () => {
    const digest = async () => (await inspectVersion(await sent())).digest;
    const first = await digest();
    await utimes(join(source, 'zero'), 1, 1);
    await chmod(join(source, 'zero'), 0o600);
    await mkdir(join(source, '.git'));
    assert.equal(await digest(), first);
    await chmod(join(source, 'zero'), 0o700);
    const executable = await digest();
    await rm(join(source, 'empty'), { recursive: true });
    const without = await digest();
    await writeFile(join(source, 'zero'), 'x');
    assert.equal(new Set([first, executable, without, await digest()]).size, 4);
    const entries = [{ name: 'b' }, { name: 'a', content: 'x' }];
    const one = (await inspectVersion(await forged(...entries))).digest;
    assert.equal((await inspectVersion(await forged(...entries.toReversed()))).digest, one, 'order does not count');
  });

  it('leaves .git at home, and node_modules when there is a build', async () => {
    for (const name of ['.git', 'node_modules', 'bin/node_modules']) {
      await mkdir(join(source, name));
      await writeFile(join(source, name, 'x'), '');
    }
    const paths = async () => (await checkFolder(source)).entries.map(({ path }) => path);
    assert.ok((await paths()).includes('node_modules/x'));
    assert.ok(!(await paths()).some((path) => path.includes('.git')));
    await writeFile(join(source, 'freehold.app.json'), manifest.replace('}', ', "build": "npm ci"}'));
    assert.ok(!(await paths()).some((path) => path.includes('node_modules')));
  });

  it('says everything that cannot travel at once', async () => {
    await writeFile(join(source, 'freehold.app.json'), '{ "name": "tickets" }');
    await symlink('/etc/passwd', join(source, 'out'));
    await writeFile(join(source, 'root'), '', { mode: 0o4755 });
    await chmod(join(source, 'root'), 0o4755);
    await writeFile(join(source, 'a\\b'), '');
    await writeFile(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff])]), '');
    const server = createServer().listen(join(source, 's.sock'));
    await once(server, 'listening');
    const { problems, manifest: found } = await checkFolder(source);
    server.close();
    assert.equal(found, undefined);
    assert.match(problems[0]!, /^freehold\.app\.json:1:1: "version" is missing/);
    assert.match(problems[1]!, /^freehold\.app\.json:1:1: "start" is missing/);
    const said = problems.join('\n');
    for (const reason of [/"a\\\\b": .*backslash/, /not UTF-8/, /"root" has a setuid/, /"s\.sock" is neither/])
      assert.match(said, reason);
    for (const name of ['root', 'a\\b', 's.sock']) await rm(join(source, name), { force: true });
    await rm(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff])]));
    await writeFile(join(source, 'freehold.app.json'), manifest);
    assert.deepEqual((await checkFolder(source)).problems, ['"out" leads out of the folder, to "/etc/passwd"']);
    await assert.rejects(checkFolder(join(source, 'bin')), /cannot be read \(ENOENT\)/);
  });

  it('fails when a file changes while it is sent', async () => {
    const { entries } = await checkFolder(source);
    await writeFile(join(source, 'zero'), 'not any more');
    await assert.rejects(pipeline(packFolder(source, entries), createWriteStream(fresh())), /"zero" changed/);
  });

  it('refuses paths that lead out', async () => {
    for (const name of [
      '../x',
      '/x',
      'a/../../x',
      'a//b',
      'a/./b',
      'x\\y',
      'a\nb',
      'n'.repeat(256),
      `${'a/'.repeat(64)}b`,
    ])
      await refused(await forged({ name }), /plain path|absolute|backslash|control|longer|deep/);
  });

  it('refuses links that lead out, also by way of other links', async () => {
    const link = (name: string, linkname: string): Header => ({ name, type: 'symlink', linkname });
    const folder = (name: string): Header => ({ name, type: 'directory' });
    for (const target of ['/etc/passwd', '..', 'a/../../x', './/../x'])
      await refused(await forged(link('l', target)), /leads out/);
    // By its words `d/e/up/../../x` is `d/x`; the kernel goes to the parent of the top.
    await refused(
      await forged(folder('d'), folder('d/e'), link('d/e/up', '../..'), link('l', 'd/e/up/../x')),
      /"l" leads out/,
    );
    await refused(await forged(link('a', 'b'), link('b', 'a')), /leads out/);
    const good = await forged(
      folder('d'),
      link('d/top', '..'),
      link('l', 'd/top/zero'),
      link('dangling', 'later/made'),
    );
    await unpackVersion(good, fresh());
  });

  it('writes through no link and no file', async () => {
    await refused(await forged({ name: 'l', type: 'symlink', linkname: '.' }, { name: 'l/x' }), /"l\/x" lies in "l"/);
    await refused(await forged({ name: 'f' }, { name: 'f/x' }), /lies in/);
    await refused(await forged({ name: 'no/x' }), /lies in/);
    await refused(await forged({ name: 'd/x' }, { name: 'd', type: 'directory' }), /lies in/);
  });

  it('refuses two entries of one name, also where case or Unicode differ', async () => {
    for (const name of ['FREEHOLD.app.json', 'freehold.app.json'])
      await refused(await forged({ name }), /have the same name/);
    await refused(await forged({ name: 'caf\u00e9' }, { name: 'cafe\u0301' }), /have the same name/);
  });

  it('refuses everything that is no file, folder or symbolic link', async () => {
    await refused(await forged({ name: 'x', type: 'link', linkname: 'freehold.app.json' }), /neither/);
    for (const type of ['character-device', 'block-device', 'fifo'] as const)
      await refused(await forged({ name: 'x', type }), /neither/);
    for (const mode of [0o4755, 0o2755, 0o1777]) await refused(await forged({ name: 'x', mode }), /setuid/);
    await refused(await forged({ name: 'x', pax: { size: '99999999999' } }), /none of ours/);
    await refused(await forged({ name: 'x', pax: { comment: 'y'.repeat(9_000) } }), /too long/);
  });

  it('refuses archives that are cut short, damaged or none', async () => {
    const whole = await readFile(await sent());
    for (const [bytes, reason] of [
      [Buffer.alloc(0), /cut short/],
      [Buffer.from('x'.repeat(1_024)), /not a tar/],
      [whole.subarray(0, 600), /cut short/],
      [Buffer.concat([whole.subarray(0, 3), Buffer.from('!'), whole.subarray(4)]), /damaged/],
      [Buffer.alloc(1_024), /no file freehold\.app\.json/],
    ] as const) {
      const path = fresh();
      await writeFile(path, bytes);
      if (bytes.length === 1_024 && bytes[0] === 0) await assert.rejects(inspectVersion(path), reason);
      else await refused(path, reason);
    }
  });

  it('answers every damaged archive with what is wrong, and writes nothing outside', async () => {
    const whole = await readFile(await sent());
    const parent = fresh();
    const archive = fresh();
    await mkdir(parent);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (changes, isSummed) => {
          const bytes = Buffer.from(whole);
          for (const [at, byte] of changes) bytes[at] = byte;
          // With checksums that are right what lies behind them is read.
          if (isSummed) for (let at = 0; at < bytes.length; at += 512) writeChecksum(bytes.subarray(at, at + 512));
          await writeFile(archive, bytes);
          const folder = join(parent, 'v');
          for (const read of [inspectVersion(archive), unpackVersion(archive, folder)])
            await read.catch((error) => assert.ok(error instanceof FreeholdError, error));
          assert.deepEqual(
            (await readdir(parent)).filter((name) => name !== 'v'),
            [],
          );
          await rm(folder, { recursive: true, force: true });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is laid out whole or not at all, also when the process is killed', async () => {
    const archive = await sent();
    for (const [point, left] of [
      ['releases.unpack.written', false],
      ['releases.unpack.renamed', true],
    ] as const) {
      const folder = join(fresh(), 'v');
      await mkdir(join(folder, '..'));
      const script = `
        const { armFailpoints } = await import('#src/kernel/index.ts');
        const { unpackVersion } = await import('#src/releases/index.ts');
        armFailpoints(${JSON.stringify(`${point}=kill`)});
        await unpackVersion(${JSON.stringify(archive)}, ${JSON.stringify(folder)});`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        cwd: import.meta.dirname,
        stdio: 'ignore',
      });
      const [, signal] = await once(child, 'exit');
      assert.equal(signal, 'SIGKILL', point);
      const there = await lstat(folder).then(
        () => true,
        () => false,
      );
      assert.equal(there, left, point);
      if (!left) await unpackVersion(archive, folder);
      assert.deepEqual(await readdir(join(folder, '..')), ['v']);
      assert.equal(await readFile(join(folder, 'freehold.app.json'), 'utf8'), manifest);
    }
  });
});
