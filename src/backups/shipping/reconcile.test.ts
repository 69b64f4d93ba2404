import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { at, clusterId, manifestOf } from '../catalogue/catalogue.fixture.ts';
import { key, openSealedRegion } from '../catalogue/sealed-region.fixture.ts';
import { reconcileRegions } from './reconcile.ts';

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
