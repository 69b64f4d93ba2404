import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '#src/kernel/index.ts';
import { openOwed } from './owed.ts';
import { openSpool } from './spool.ts';

const stretch = (timeline: number, start: number, end: number, receivedAtMs = 1_000) => ({
  timeline,
  start: BigInt(start),
  end: BigInt(end),
  receivedAtMs,
});

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'freehold-owed-'));
  await work(folder).finally(() => rm(folder, { recursive: true }));
}

test('what regions are owed survives the process, joined, in order, and shrinks from the front', () =>
  withFolder(async (folder) => {
    await openSpool(folder, systemClock);
    const owed = await openOwed(folder);
    await owed.add('south', [stretch(1, 100, 200, 7), stretch(1, 300, 400)]);
    await owed.add('south', [stretch(2, 100, 150), stretch(1, 200, 250, 9), stretch(1, 380, 420)]);
    await owed.add('north', [stretch(1, 0, 10)]);
    const expected = [stretch(1, 100, 250, 7), stretch(1, 300, 420), stretch(2, 100, 150)];
    assert.deepEqual(owed.of('south'), expected);
    assert.equal(owed.bytesOf('south'), 320);

    // The spool lets it lie, and removes what a killed process left half written.
    await writeFile(path.join(folder, 'owed.json.tmp'), '{"south":');
    await openSpool(folder, systemClock);
    assert.deepEqual(await readdir(folder), ['owed.json']);
    const again = await openOwed(folder);
    assert.deepEqual(again.of('south'), expected);
    await again.settle('south', { timeline: 1, lsn: 310n });
    assert.deepEqual(again.of('south'), [stretch(1, 310, 420), stretch(2, 100, 150)]);
    await again.settle('south', { timeline: 2, lsn: 150n });
    assert.deepEqual((await openOwed(folder)).of('south'), []);
    assert.equal((await openOwed(folder)).bytesOf('north'), 10);
  }));

test('a record that cannot be understood is an error, never an empty one', () =>
  withFolder(async (folder) => {
    for (const text of ['', '{"south":[{"timeline":"x"}]}', '{"south":1}']) {
      await writeFile(path.join(folder, 'owed.json'), text);
      await assert.rejects(openOwed(folder), { code: 'FH_WAL_SPOOL_DAMAGED' });
    }
  }));
