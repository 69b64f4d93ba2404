/** The commands of apps, against the routes that control has on its command socket. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { recordAudit } from '#src/audit/index.ts';
import { appRoutes } from '#src/console-api/index.ts';
import { migrate } from '#src/databases/index.ts';
import { createHttpApp } from '#src/http/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { createPool, type Pool } from '#src/postgres/index.ts';
import { type AppRegistry, createAppRegistry } from '#src/releases/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { runCli } from './index.ts';

let cluster: TestCluster;
let folder: string;
let pool: Pool;
let apps: AppRegistry;
let app: ReturnType<typeof createHttpApp>;
let failure: Error | undefined;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-app-cli-'));
  await migrate(cluster.control, { schema: 'public', folder: new URL('../../migrations/control/', import.meta.url) });
  pool = createPool(cluster.control, { max: 4, applicationName: 'test' });
  for (const name of ['incoming', 'data/run/control', 'source']) mkdirSync(join(folder, name), { recursive: true });
  apps = createAppRegistry({
    db: pool,
    incomingFolder: join(folder, 'incoming'),
    ownApps: ['desk'],
    recordAudit,
    clock: systemClock,
    log: silentLog,
    installer: {
      install: async () => {
        if (failure) throw failure;
      },
      remove: async () => {},
    },
  });
  app = createHttpApp({ name: 'command', log: silentLog, clock: systemClock, hsts: false });
  await app.register(appRoutes({ apps, actorOf: () => 'os:operator' }));
  await app.listen({ path: join(folder, 'data/run/control/command.sock') });
});
after(async () => {
  await app.close();
  await pool.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function freehold(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const env = { FREEHOLD_DATA: join(folder, 'data'), XDG_RUNTIME_DIR: folder };
  const code = await runCli(argv, env, { stdin, stdout, stderr });
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}
const source = () => join(folder, 'source');
async function write(manifest: object): Promise<void> {
  await writeFile(join(source(), 'freehold.app.json'), JSON.stringify(manifest, null, 2));
}

test('check says everything that is wrong, and needs no running installation', async () => {
  await write({ name: 'wiki', version: 1, strat: 'node .' });
  const bad = await freehold('app', 'check', source());
  assert.equal(bad.code, 1);
  assert.equal(
    bad.err,
    `freehold: This folder cannot be added:
  freehold.app.json:1:1: "start" is missing; write for example "start": "node server.js"
  freehold.app.json:3:14: version is a number; write a text: "…"
  freehold.app.json:4:3: freehold.app.json has no key "strat", did you mean "start"?
  Mend what is named, then see that nothing is left with: ./freehold app check FOLDER
`,
  );
  await write({ name: 'wiki', version: '1.0', start: 'node .' });
  await symlink('/etc/passwd', join(source(), 'out'));
  assert.match((await freehold('app', 'check', source())).err, /added: "out" leads out of the folder/);
  await rm(join(source(), 'out'));
  const good = await freehold('app', 'check', source(), '--json');
  assert.deepEqual([good.code, JSON.parse(good.out).files], [0, 1]);
  const nothing = await freehold('app', 'check', join(folder, 'nothing'));
  assert.deepEqual([nothing.code, /cannot be read \(ENOENT\)/.test(nothing.err)], [1, true]);
});

test('add sends a folder and waits until it is built; list, show and remove know it', async () => {
  // More than one chunk, so that it is streamed.
  await writeFile(join(source(), 'large.bin'), Buffer.alloc(3_000_000, 7));
  const added = await freehold('app', 'add', source(), '--notes', 'first', '--json');
  assert.equal(added.err, '');
  const { digest, ...rest } = JSON.parse(added.out);
  assert.deepEqual(rest, { app: 'wiki', version: '1.0', state: 'ready' });
  assert.equal((await apps.get('wiki', '1.0')).digest, digest);
  assert.equal((await apps.get('wiki', '1.0')).notes, 'first');
  const again = await freehold('app', 'add', source());
  assert.deepEqual([again.code, again.out.split('\n')[0]], [0, 'wiki 1.0 is ready.']);
  assert.match((await freehold('app', 'list')).out, /^APP .*\nwiki +1\.0 +ready +0 +just now +os:operator +first\n$/);
  assert.match((await freehold('app', 'show', 'wiki')).out, /memory +512 MiB/);
  const removed = await freehold('app', 'remove', 'wiki', '1.0');
  assert.deepEqual([removed.code, removed.out], [0, 'wiki 1.0 is removed.\n']);
  const gone = await freehold('app', 'show', 'wiki', '--json');
  assert.deepEqual([gone.code, JSON.parse(gone.err).error.code], [1, 'FH_APP_NOT_FOUND']);
});

test('what is refused is said with its code, and the end of a failed build is shown', async () => {
  const code = async (...argv: string[]) => {
    const ran = await freehold(...argv, '--json');
    assert.equal(ran.code, 1);
    return JSON.parse(ran.err).error;
  };
  await write({ name: 'desk', version: '1.0', start: 'node .' });
  assert.equal((await code('app', 'add', source())).code, 'FH_APP_NAME_TAKEN');
  await write({ name: 'wiki', version: '2.0', start: 'node .', build: 'make' });
  failure = new Error('make: *** no rule\n\u001b[31mstopped');
  const failed = await code('app', 'add', source());
  failure = undefined;
  assert.deepEqual([failed.code, failed.detail], ['FH_APP_BUILD_FAILED', 'make: *** no rule\n\u001b[31mstopped']);
  assert.match(
    (await freehold('app', 'show', 'wiki')).out,
    /2\.0 failed:\n {2}make: \*\*\* no rule\n {2} \[31mstopped/,
  );
  assert.equal((await code('app', 'remove', 'wiki', '../../x')).code, 'FH_APP_NOT_FOUND');
});
