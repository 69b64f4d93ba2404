import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type RegionStore, regionErrors } from '#src/objects/index.ts';
import { at, clusterId, lsn, manifestOf, pieceOf } from '../catalogue/catalogue.fixture.ts';
import { key, openSealedRegion } from '../catalogue/sealed-region.fixture.ts';
import { catchUpRegion } from './catch-up.ts';
import { openOwed } from './owed.ts';
import { reconcileRegions } from './reconcile.ts';
import { createWalWriter } from './wal-writer.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'freehold-reconcile-'));
});
after(() => rm(folder, { recursive: true }));

const owner = { clusterId, findKey: async () => key.key };
const segments = async ({ region }: Awaited<ReturnType<typeof openSealedRegion>>) =>
  (await Array.fromAsync(region.list(''))).flatMap(({ name }) =>
    name.startsWith('segments/') ? [Number.parseInt(name.slice(-2), 16)] : [],
  );

test('what a region cannot use any more is not brought back to it; what it lacks, and all that one without backups lacks, is', async () => {
  const [whole, pruned, fresh] = await Promise.all(
    ['whole', 'pruned', 'fresh'].map((name) => openSealedRegion(join(folder, name))),
  );
  const piece = (number: number) => ({ kind: 'segment', start: number * 4, end: number * 4 + 4 }) as const;
  const base = (number: number) => ({ id: `d${number}`, start: number * 4 + 1, stop: number * 4 + 2, finishedAt: 0 });
  for (const number of [0, 1, 2, 3, 4, 5]) await whole!.putPiece(piece(number), at(0));
  await whole!.putBase(base(0), at(0));
  // Its oldest backup is replayed from within segment 2; 3 was lost on the way.
  for (const number of [2, 4]) await pruned!.putPiece(piece(number), at(0));
  for (const number of [4, 2]) await pruned!.putBase(base(number), at(0));
  const copy = (...regions: NonNullable<typeof whole>[]) =>
    reconcileRegions({
      regions: regions.map(({ region }) => region),
      owner,
      pace: async () => {},
      signal: new AbortController().signal,
    });

  assert.equal(await copy(pruned!, whole!), 2);
  assert.deepEqual(await segments(pruned!), [2, 3, 4, 5]);
  assert.equal(await copy(pruned!, whole!), 0);
  await copy(fresh!, whole!);
  assert.deepEqual(await segments(fresh!), [0, 1, 2, 3, 4, 5]);

  // A manifest that nobody can read may need everything.
  const { clusterId: cluster, backupId } = manifestOf(base(3));
  await pruned!.put(`base/${cluster}/${backupId}/manifest`, Buffer.from('not a manifest'), at(0));
  await copy(pruned!, whole!);
  assert.deepEqual(await segments(pruned!), [0, 1, 2, 3, 4, 5]);
});

test('of several regions one that is away, or whose object is damaged, does not hold up what another has', async () => {
  const [lacking, good, damaged] = await Promise.all(
    ['lacking', 'good', 'damaged'].map((name) => openSealedRegion(join(folder, name))),
  );
  const whole = { kind: 'segment', start: 4, end: 8 } as const;
  const chunks = [8, 9, 10].map((start) => ({ kind: 'wal', start, end: start + 1 }) as const);
  for (const piece of [whole, ...chunks]) await good!.putPiece(piece, at(0));
  for (const piece of [whole, chunks[1]!]) await damaged!.put(pieceOf(piece).name, Buffer.from('not WAL'), at(0));
  // It has one that the other does not.
  const last = { kind: 'wal', start: 11, end: 12 } as const;
  await damaged!.putPiece(last, at(0));
  const unavailable = async () => {
    throw regionErrors.FH_REGION_UNAVAILABLE();
  };
  const away: RegionStore = {
    ...good!.region,
    get: unavailable,
    stat: unavailable,
    // biome-ignore lint/correctness/useYield: it never comes to that
    async *list() {
      await unavailable();
    },
  };
  const spool = await mkdtemp(join(folder, 'spool-'));
  const owed = await openOwed(spool);
  const { signal } = new AbortController();
  const gaps: unknown[] = [];
  const catchUp = (...sources: RegionStore[]) =>
    catchUpRegion({
      to: lacking!.region,
      writer: createWalWriter({ store: lacking!.region, owner, key: () => key, signal }),
      sources,
      owner,
      owed,
      pace: async () => {},
      onCopied: () => {},
      onGap: (...gap) => gaps.push(gap),
      signal,
    });
  const owe = () => owed.add('north', [{ timeline: 1, start: lsn(4), end: lsn(12), receivedAtMs: 0 }]);

  // Nobody could tell for the one that is away that it has nothing: no gap, and the rest stays owed.
  await owe();
  await assert.rejects(catchUp(away, damaged!.region), { code: 'FH_KEY_UNSEAL' });
  await assert.rejects(catchUp(away), { code: 'FH_REGION_UNAVAILABLE' });
  assert.deepEqual([owed.of('north')[0]!.start, gaps], [lsn(4), []]);

  await catchUp(away, damaged!.region, good!.region);
  assert.deepEqual([owed.of('north'), gaps], [[], []]);
  for (const piece of [whole, ...chunks, last]) {
    const { name } = pieceOf(piece);
    assert.ok(await lacking!.region.stat(name), name);
  }
});
