import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { link, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openOwnFile } from './files.ts';

const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;

test("a file in the server's folder is never somebody else's: no link is followed, no other user's file is taken", async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'fh-files-'));
  t.after(() => rm(folder, { recursive: true }));
  const secret = path.join(folder, 'secret');
  await writeFile(secret, 'of root\n');
  const me = { name: 'me', uid: process.getuid!(), gid: process.getgid!() };
  const server = { name: 'server', uid: me.uid + 1, gid: me.gid };

  const log = path.join(folder, 'postgresql.log');
  for (const owner of [undefined, me, server]) {
    const handle = await openOwnFile(log, appending, owner);
    await handle.close();
    await rm(log);
  }
  await symlink(secret, log);
  for (const flags of [appending, constants.O_RDONLY])
    await assert.rejects(openOwnFile(log, flags, server), { code: 'ELOOP' });
  await rm(log);
  await link(secret, log);
  for (const flags of [appending, constants.O_RDONLY])
    await assert.rejects(openOwnFile(log, flags, server), { code: 'FH_CLUSTER_START_FAILED' });
  assert.equal(await readFile(secret, 'utf8'), 'of root\n');
});
