import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureFolders, foldersOf } from './folders.ts';
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
