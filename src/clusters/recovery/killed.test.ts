import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readlink, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog, waitFor } from '#src/kernel/index.ts';
import { createScratchFolder, removeScratchFolders } from './scratch-folder.ts';
import { recoverFrom, type SourceServer, startSourceServer } from './source.fixture.ts';

let source: SourceServer;
before(async () => {
  source = await startSourceServer();
  await source.takeBase();
  await source.sql('postgres', 'CREATE TABLE ledger (n int)');
  await source.archiveNow();
  await source.sql('postgres', "SELECT pg_create_restore_point('end')");
  await source.archiveNow();
});
after(() => source?.stop());

const program = `
  const { armFailpoints, silentLog } = await import('#src/kernel/index.ts');
  const { createScratchFolder, startRecovery } = await import('#src/clusters/index.ts');
  const { folderSource } = await import('#src/clusters/recovery/source.fixture.ts');
  const { failpoints, archive, ...options } = JSON.parse(process.argv[1]);
  armFailpoints(failpoints);
  const target = { kind: 'name', name: 'end' };
  const { execFileSync } = await import('node:child_process');
  const folder = await createScratchFolder(options.parent, options.osUser);
  execFileSync('cp', ['-a', options.base, folder.dataDir]);
  await startRecovery({ ...options, folder, target, timeline: 1, walSource: folderSource(archive), log: silentLog });
`;

for (const name of ['prepared', 'segment', 'started', 'reached']) {
  test(`killed at ${name}: the server ends, and the next start removes what is left`, async () => {
    const { archive, binaries, osUser, scratchParent: parent } = source;
    const systemIdentifier = await source.systemIdentifier();
    const base = path.join(source.folder, 'base');
    const failpoints = `clusters.recovery.${name}=kill`;
    const options = { failpoints, archive, binaries, osUser, parent, base, systemIdentifier };
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program, JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'inherit'],
      cwd: path.join(import.meta.dirname, '../../..'),
    });
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL');
    const [left, ...others] = await readdir(parent);
    assert.ok(left);
    assert.deepEqual(others, []);

    // A living process's own folder stays.
    const own = await createScratchFolder(parent, osUser);
    assert.equal(await removeScratchFolders(parent, silentLog), 1);
    assert.deepEqual(await readdir(parent), [path.basename(own.home)]);
    await own.remove();
    await waitFor('no server to be left', async () => (await postgresProcessesIn(path.join(parent, left))) === 0);
  });
}

test('in a folder with a long path the socket is elsewhere, and goes too', async () => {
  const deep = path.join(source.scratchParent, 'x'.repeat(100));
  await mkdir(deep);
  const folder = await createScratchFolder(deep, source.osUser);
  try {
    assert.ok(Buffer.byteLength(folder.socketDir) < 88);
    assert.deepEqual(await readdir(folder.socketDir), []);
  } finally {
    await folder.remove();
  }
  await assert.rejects(readdir(folder.socketDir), { code: 'ENOENT' });
  assert.deepEqual(await readdir(deep), []);
  await rm(deep, { recursive: true });
});

test('two recoveries of one process side by side do not meet', async () => {
  const target = { kind: 'name', name: 'end' } as const;
  const once = () => recoverFrom(source, { target }, async ({ newTimeline }) => newTimeline);
  assert.deepEqual(await Promise.all([once(), once()]), [2, 2]);
  assert.deepEqual(await readdir(source.scratchParent), []);
});

/** Whose working folder is or was below this one; elsewhere than on Linux nobody can tell. */
async function postgresProcessesIn(folder: string): Promise<number> {
  if (process.platform !== 'linux') return 0;
  let found = 0;
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    if ((await readlink(`/proc/${entry}/cwd`).catch(() => '')).startsWith(folder)) found++;
  }
  return found;
}
