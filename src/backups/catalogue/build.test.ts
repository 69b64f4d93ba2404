import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sealObjectBytes } from '#src/keys/index.ts';
import { regionErrors } from '#src/objects/index.ts';
import { buildCatalogue, type CatalogueReader } from './build.ts';
import { at, backupId, clusterId, database, lsn, tenantId } from './catalogue.fixture.ts';
import { planRestore } from './plan.ts';
import { createCatalogueReader } from './reader.ts';
import { key, keys, openSealedRegion } from './sealed-region.fixture.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'freehold-catalogue-'));
});
after(() => rm(folder, { recursive: true }));

const ada = tenantId('a');
const databases = [database('postgres', 5, undefined), database('t_ada', 20_000, ada)];
const junk = Buffer.from('junk');

async function plant() {
  const world = await openSealedRegion(join(folder, 'north'));
  const { region, put } = world;
  await world.putBase({ id: 'a', start: 1, stop: 2, finishedAt: 10, databases }, at(11));
  const broken = [databases[0]!, { ...databases[1]!, object: `data/${ada}/lost` }];
  await world.putBase(
    { id: 'b', start: 5, stop: 6, finishedAt: 20, databases: broken, without: [`data/${ada}/lost`] },
    at(21),
  );
  await world.putBase(
    { id: 'c', start: 9, stop: 10, finishedAt: 30, databases: [{ ...databases[0]!, storedBytes: 2 }] },
    at(31),
  );
  await put(`base/${clusterId}/${backupId('d')}/manifest`, junk, at(40));
  await put(`base/${clusterId}/${backupId('e')}/shared`, junk, at(50));
  // An authentic manifest under the name of another backup.
  const stolen = { kind: 'manifest', keyId: key.keyId, clusterId, backupId: backupId('a') } as const;
  await put(`base/${clusterId}/${backupId('f')}/manifest`, await sealObjectBytes(key.key, stolen, junk), at(60));
  await world.putPiece({ kind: 'segment', start: 0, end: 4 }, at(5));
  await world.putPiece({ start: 4, end: 6.5 }, at(20));
  await world.putTimedChunk({ start: 6.5, end: 8, first: at(21), last: at(25) }, at(26));
  await world.putPiece({ timeline: 2, start: 4, end: 8 }, at(27));
  await put(`wal/${clusterId}/00000001/${'0'.repeat(15)}f`, junk, at(1));
  await world.putHistory(2, 1, lsn(6), at(26));
  await put(`history/${clusterId}/00000003`, junk, at(28));
  await put(
    `dumps/${ada}/dmp_1`,
    await sealObjectBytes(key.key, { kind: 'dump', keyId: key.keyId, madeAt: at(3).toISOString() }, junk),
    at(4),
  );
  await put(`dumps/${ada}/dmp_2`, junk, at(5));
  for (const name of [
    `files/${ada}/ab/abcd`,
    'installation',
    'keys/installation/1',
    'kits/kit_1',
    'letters/1',
    `wal/${clusterId}/zz/1`,
  ])
    await put(name, junk, at(1));
  return region;
}

test('a catalogue is built from one region alone, and says what it does not understand', async () => {
  const region = await plant();
  const reader = createCatalogueReader(region, keys);
  const catalogue = await buildCatalogue({ region, reader });
  const cluster = catalogue.clusters.get(clusterId)!;
  assert.deepEqual(
    cluster.backups.map(({ backupId: id, state }) => [id[4], state]),
    [
      ['a', 'complete'],
      ['b', 'incomplete'],
      ['c', 'incomplete'],
      ['d', 'unreadable'],
      ['e', 'unfinished'],
      ['f', 'unreadable'],
    ],
  );
  assert.deepEqual((cluster.backups[1] as { missing?: unknown }).missing, [`data/${ada}/lost`]);
  assert.deepEqual((cluster.backups[2] as { missing?: unknown }).missing, [databases[0]!.object], 'of another size');
  const shown = [...cluster.pieces].map(([timeline, pieces]) => [
    timeline,
    pieces.map(({ kind, start, end }) => [kind, start, end]),
  ]);
  assert.deepEqual(shown, [
    [
      1,
      [
        ['segment', lsn(0), lsn(4)],
        ['wal', lsn(4), lsn(6.5)],
        ['wal', lsn(6.5), lsn(8)],
      ],
    ],
    [2, [['wal', lsn(4), lsn(8)]]],
  ]);
  const { firstCommitAt, lastCommitAt, storedAt } = cluster.pieces.get(1)![2]!;
  assert.deepEqual([firstCommitAt, lastCommitAt, storedAt], [at(21), at(25), at(26)]);
  assert.equal(cluster.unreadablePieces.length, 1);
  assert.deepEqual(cluster.timelines.get(2)!.ancestors, [{ timeline: 1, switchedAt: lsn(6) }]);
  assert.equal(cluster.timelines.get(3)!.ancestors, undefined);
  assert.deepEqual(
    catalogue.dumps.map(({ dumpId, madeAt }) => [dumpId, madeAt]),
    [
      ['dmp_1', at(3)],
      ['dmp_2', undefined],
    ],
  );
  assert.deepEqual(
    catalogue.files.map(({ tenantId: owner }) => owner),
    [ada],
  );
  assert.deepEqual([catalogue.others.length, catalogue.strangers], [3, ['letters/1', `wal/${clusterId}/zz/1`]]);

  const request = { catalogue, clusterId, now: at(100), wanted: { kind: 'tenant', tenantId: ada } } as const;
  const plan = planRestore({ ...request, target: { kind: 'time', time: at(22), timeline: 1 } });
  assert.equal(plan.outcome, 'plan');
  assert.deepEqual(planRestore({ ...request, target: { kind: 'lsn', lsn: lsn(7) } }), {
    outcome: 'history_missing',
    region: 'north',
    timeline: 3,
  });

  // What was read once is not read again.
  const asked: string[] = [];
  const note =
    <A extends [name: string, ...rest: never[]], R>(open: (...input: A) => R) =>
    (...input: A): R => {
      asked.push(input[0]);
      return open(...input);
    };
  const counting: CatalogueReader = {
    openManifest: note(reader.openManifest),
    openHistory: note(reader.openHistory),
    openHeader: note(reader.openHeader),
  };
  assert.deepEqual(await buildCatalogue({ region, reader: counting, previous: catalogue }), catalogue);
  assert.deepEqual(asked.map((name) => name.replace(/^(\w+).*?([^/]*)$/, '$1 $2')).sort(), [
    'base manifest',
    'base manifest',
    'dumps dmp_2',
    'history 00000003',
    `wal ${'0'.repeat(15)}f`,
  ]);
});

test('a region that goes away while it is read makes no catalogue', async () => {
  const { region } = await openSealedRegion(join(folder, 'north'));
  const reader = createCatalogueReader(region, keys);
  const away = { ...reader, openHeader: async () => Promise.reject(regionErrors.FH_REGION_UNAVAILABLE()) };
  await assert.rejects(buildCatalogue({ region, reader: away }), { code: 'FH_REGION_UNAVAILABLE' });
});
