/** The operator's list: real files, whole, damaged, replaced and gone. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createBreachedPasswords } from './breached-passwords.ts';
import { createPasswordRules } from './password-rules.ts';

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase();
/** Long enough for every other rule. */
const phrase = (index: number) => `lantern ${index} over the frozen canal ${index * 7919}`;
const size = 60_000;
const hashes = Array.from({ length: size }, (_, index) => sha1(phrase(index))).sort();

let folder: string;
const at = (name: string) => join(folder, name);
const listed = (path: string, password: string) => createBreachedPasswords(path).includes(password);
const unreadable = { code: 'FH_PASSWORD_LIST_UNREADABLE' };

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'freehold-breached-'));
  // As it is given out: a count of its own length on every line, CR and LF.
  await writeFile(
    at('list'),
    hashes.map((hash, index) => `${hash}:${(index * 104_729) % 10 ** (index % 9)}\r\n`).join(''),
  );
});
after(() => rm(folder, { recursive: true }));

test('every password of the list is found, and no other', async () => {
  const list = createBreachedPasswords(at('list'));
  for (let index = 0; index < size; index += 211) {
    assert.ok(await list.includes(phrase(index)), phrase(index));
    assert.ok(!(await list.includes(phrase(size + index))), phrase(size + index));
  }
  const edges = [hashes[0]!, hashes.at(-1)!];
  for (let index = 0; index < size; index++)
    if (edges.includes(sha1(phrase(index))))
      assert.ok(await list.includes(phrase(index)), 'the first and the last line');
});

test('short lists, bare hashes, small letters, a last line without an end', async () => {
  for (const count of [1, 2, 3, 255, 256, 257, 600]) {
    const few = Array.from({ length: count }, (_, index) => sha1(phrase(index))).sort();
    await writeFile(at('few'), few.join('\n').toLowerCase());
    const list = createBreachedPasswords(at('few'));
    for (let index = 0; index < count; index++) assert.ok(await list.includes(phrase(index)), `${index} of ${count}`);
    assert.ok(!(await list.includes(phrase(count))));
  }
});

test('a list that cannot be relied on lets no password pass', async () => {
  await assert.rejects(listed(at('nowhere'), phrase(1)), unreadable);
  await assert.rejects(listed(folder, phrase(1)), unreadable);
  const damaged: Record<string, string> = {
    empty: '',
    'no list': 'x'.repeat(1_000),
    'a page of words': 'password\nletmein\nqwerty\n'.repeat(1_000),
    'in the order of counts': Array.from(
      { length: 2_000 },
      (_, index) => `${sha1(phrase(index))}:${9_000 - index}`,
    ).join('\n'),
    'hashes of another kind': hashes
      .slice(0, 500)
      .map((hash) => hash.slice(0, 32))
      .join('\n'),
    'a line that never ends': `${hashes.slice(0, 300).join('\n')}\n${'0'.repeat(30_000)}`,
  };
  for (const [what, content] of Object.entries(damaged)) {
    await writeFile(at('damaged'), content);
    await assert.rejects(listed(at('damaged'), phrase(1)), unreadable, what);
  }
  const rules = createPasswordRules(createBreachedPasswords(at('nowhere')));
  await assert.rejects(rules.parseNew(phrase(1), {}), unreadable);
  // What is refused without it is refused as ever.
  assert.equal((await rules.check('password12345678', {})).problems[0]?.rule, 'common');
});

test('a list that is replaced, cut off or closed meanwhile counts at once', async () => {
  await writeFile(at('now'), `${sha1(phrase(1))}\n`);
  const list = createBreachedPasswords(at('now'));
  assert.deepEqual([await list.includes(phrase(1)), await list.includes(phrase(2))], [true, false]);
  await writeFile(at('next'), `${[sha1(phrase(1)), sha1(phrase(2))].sort().join('\n')}\n`);
  await rename(at('next'), at('now'));
  assert.ok(await list.includes(phrase(2)));
  await truncate(at('now'), 60);
  await assert.rejects(list.includes(phrase(2)), unreadable);
  await rm(at('now'));
  await assert.rejects(list.includes(phrase(2)), unreadable);
  if (process.getuid?.() === 0) return;
  await writeFile(at('now'), `${sha1(phrase(1))}\n`);
  await chmod(at('now'), 0);
  await assert.rejects(list.includes(phrase(2)), unreadable);
});

test('a new password is asked for as it is hashed and as it was typed', async () => {
  const typed = 'Ａ\u0301ngström by the frozen canal';
  const normalised = typed.normalize('NFKC');
  assert.notEqual(typed, normalised);
  for (const known of [typed, normalised]) {
    await writeFile(at('one'), sha1(known));
    const rules = createPasswordRules(createBreachedPasswords(at('one')));
    assert.equal((await rules.check(typed, {})).problems[0]?.rule, 'breached');
    await assert.rejects(rules.parseNew(typed, {}), { code: 'FH_PASSWORD_REFUSED' });
    assert.ok((await rules.check(`${typed}!`, {})).accepted);
  }
});
