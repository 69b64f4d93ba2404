import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureFolders, foldersOf, foldersOfCluster } from './folders.ts';
import { ensureDatabaseSecret } from './secrets.ts';

test('what a part plants in its own folder does not lead the supervisor out of it', (t) => {
  const home = mkdtempSync(join(tmpdir(), 'fh-folders-'));
  t.after(() => rmSync(home, { recursive: true }));
  const folders = foldersOf(join(home, 'data'));
  ensureFolders(folders, undefined);
  ensureFolders(folders, undefined);

  const outside = join(home, 'outside');
  writeFileSync(outside, 'not ours\n', { mode: 0o644 });
  symlinkSync(outside, `${folders.databaseSecret}.new`);
  const secret = ensureDatabaseSecret(folders, undefined);
  assert.equal(readFileSync(outside, 'utf8'), 'not ours\n');
  assert.equal(statSync(outside).mode & 0o777, 0o644);
  assert.equal(ensureDatabaseSecret(folders, undefined).password, secret.password);
  assert.equal(statSync(folders.databaseSecret).mode & 0o777, 0o600);

  rmSync(folders.exports, { recursive: true });
  symlinkSync(home, folders.exports);
  const before = statSync(home).mode;
  assert.throws(() => ensureFolders(folders, undefined), { code: 'FH_DATA_UNREACHABLE' });
  assert.equal(statSync(home).mode, before);
});

test('sockets of every server are found by a process that has become another user', (t) => {
  const folders = foldersOf(join('/', 'a data folder that is too long for sockets'.repeat(3)));
  const before = foldersOfCluster(folders, 'c12345678');
  assert.ok(before.databaseSocket.startsWith(join(folders.run, 'c12345678')));
  assert.ok(Buffer.byteLength(before.standbySocket) <= 80);
  t.mock.method(process as { getuid(): number }, 'getuid', () => 4_321);
  assert.deepEqual(foldersOfCluster(folders, 'c12345678'), before);
});

test('an empty folder of root becomes a region, anything else is left as it is', (t) => {
  // Only root can give something away.
  if (process.getuid?.() !== 0) return;
  const home = mkdtempSync(join(tmpdir(), 'fh-folders-'));
  t.after(() => rmSync(home, { recursive: true }));
  chmodSync(home, 0o711);
  const user = { name: 'nobody', uid: 65_534, gid: 65_534 };
  const users = { postgres: user, standby: user, control: user, gateway: user, shipper: user, apps: user };
  const place = (name: string) => join(home, name);
  for (const name of ['empty', 'used', 'others', 'behind a link']) mkdirSync(place(name), { mode: 0o755 });
  mkdirSync(join(place('empty'), 'lost+found'));
  writeFileSync(join(place('used'), 'photo'), '');
  chownSync(place('others'), 1_234, 1_234);
  symlinkSync(place('behind a link'), place('link'));
  const locations = ['empty', 'used', 'others', 'link', 'missing'].map(place);
  for (let start = 0; start < 2; start++)
    ensureFolders(foldersOf(place('data')), { ...users, sharedGid: 65_534, filesGid: 65_534, regionsGid: 4_321 }, [
      ...locations,
      's3://bucket/prefix?endpoint=http://localhost',
    ]);
  const of = (name: string) => {
    const { uid, gid, mode } = statSync(place(name));
    return [uid, gid, mode & 0o7777];
  };
  assert.deepEqual(of('empty'), [65_534, 4_321, 0o2770]);
  assert.deepEqual(of('used'), [0, 0, 0o755]);
  assert.deepEqual(of('others'), [1_234, 1_234, 0o755]);
  assert.deepEqual(of('behind a link'), [0, 0, 0o755]);
  assert.throws(() => statSync(place('missing')), { code: 'ENOENT' });
});
