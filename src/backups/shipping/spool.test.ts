import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '#src/kernel/index.ts';
import { openSpool } from './spool.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'freehold-spool-'));
});
afterEach(() => rm(folder, { recursive: true }));

const range = (timeline: number, start: bigint, end: bigint) => ({ timeline, start, end });

test('entries come back in the order in which they are sent, byte for byte', async () => {
  const spool = await openSpool(folder, systemClock);
  await spool.addChunk(range(1, 0n, 10n), Buffer.from('one'), 1_000);
  await spool.addHistory(2, Buffer.from('history'));
  await spool.addChunk(range(2, 8n, 12n), Buffer.from('two'), 2_000);
  await writeFile(path.join(folder, 'half.tmp'), 'left by a killed process');
  const again = await openSpool(folder, systemClock);
  const contents = await Promise.all(again.entries().map((entry) => again.read(entry)));
  assert.deepEqual(contents.map(String), ['one', 'history', 'two']);
  assert.equal(again.sizeBytes(), 13);
  assert.equal((await readdir(folder)).length, 3);
  assert.deepEqual(await again.addHistory(2, Buffer.from('sealed anew')), again.entries()[1]);
});

test('the newest chunk stays when all have it, until there is a newer one', async () => {
  const spool = await openSpool(folder, systemClock);
  await spool.release(await spool.addChunk(range(1, 0n, 10n), Buffer.from('one'), 1_000));
  assert.equal(spool.entries().length, 1);
  assert.equal(spool.owedBytes(), 0);
  const second = await spool.addChunk(range(1, 10n, 11n), Buffer.from('two'), 1_000);
  assert.deepEqual(spool.entries(), [second]);
  assert.equal(spool.owedBytes(), 3);
});

test('a spool belongs to one cluster, and holds nothing else', async () => {
  const spool = await openSpool(folder, systemClock);
  await spool.claim('7000000000000000001');
  const again = await openSpool(folder, systemClock);
  await again.claim('7000000000000000001');
  await assert.rejects(again.claim('7000000000000000002'), { code: 'FH_WAL_OTHER_CLUSTER' });
  await writeFile(path.join(folder, 'notes'), 'of a person');
  await assert.rejects(openSpool(folder, systemClock), { code: 'FH_WAL_SPOOL_DAMAGED', detail: 'notes' });
});
