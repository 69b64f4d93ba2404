import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '#src/kernel/index.ts';
import { type AppLog, createAppLog } from './app-log.ts';
import { cursorPattern, longestPage, readLogPage } from './log-page.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fh-log-'));
});
after(() => rm(folder, { recursive: true }));

const texts = (lines: readonly string[]) => lines.map((line) => line.slice(line.indexOf(' ') + 1));

function openLog(name: string, maxBytes: number): AppLog & { readonly path: string } {
  const path = join(folder, name);
  return { path, ...createAppLog({ path, secrets: [], clock: systemClock, maxBytes }) };
}

async function write(log: AppLog, from: number, to: number): Promise<void> {
  // Files are rotated between writes only.
  for (let number = from; number < to; number++) {
    log.write(Buffer.from(`line ${number}\n`));
    await log.flush();
  }
}

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `line ${from + index}`);

test('who follows a log misses no line and sees none twice while its files are rotated', async () => {
  const log = openLog('followed', 400);
  const empty = await readLogPage(log.path, { last: 10 });
  assert.deepEqual(empty.lines, []);
  await write(log, 0, 7);
  const first = await readLogPage(log.path, { last: 3 });
  assert.deepEqual(texts(first.lines), numbered(4, 7));
  assert.deepEqual(texts((await readLogPage(log.path, { after: empty.cursor })).lines), numbered(0, 7));
  let { cursor } = first;
  const seen: string[] = [];
  for (let round = 0; round < 6; round++) {
    assert.match(cursor, new RegExp(cursorPattern));
    await write(log, 7 + round * 9, 16 + round * 9);
    const page = await readLogPage(log.path, { after: cursor });
    assert.equal(page.hasGap, false);
    seen.push(...texts(page.lines));
    cursor = page.cursor;
  }
  assert.deepEqual(seen, numbered(7, 61));
  assert.deepEqual((await readLogPage(log.path, { after: cursor })).lines, []);
});

test('who comes back after all that was kept has been replaced is told so', async () => {
  const log = openLog('replaced', 100);
  await write(log, 0, 2);
  const { cursor } = await readLogPage(log.path, { last: 1 });
  await write(log, 2, 60);
  const page = await readLogPage(log.path, { after: cursor });
  assert.equal(page.hasGap, true);
  assert.equal(texts(page.lines).at(-1), 'line 59');
  assert.ok(page.lines.length < 58);
});

test('a page is bounded, and the next goes on where it ended; a line that is half there comes when it is whole', async () => {
  const log = openLog('long', 2 ** 20);
  log.write(Buffer.from(numbered(0, longestPage + 5).join('\n')));
  await log.flush();
  const first = await readLogPage(log.path, { after: 'beginning' });
  assert.equal(first.lines.length, longestPage);
  const second = await readLogPage(log.path, { after: first.cursor });
  assert.deepEqual(texts(second.lines), numbered(longestPage, longestPage + 5));
});
