import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  at,
  backupId,
  clusterId,
  database,
  lsn,
  type Planted,
  type PlantedBase,
  type PlantedPiece,
  pieceOf,
  plantCatalogue,
  tenantId,
  timelineOf,
} from '../catalogue/catalogue.fixture.ts';
import type { Catalogue } from '../catalogue/types.ts';
import { decideRetention } from './decide.ts';
import type { RetentionRequest } from './types.ts';

const day = 86_400;
/** Ten days of a backup and a segment a day. Retention of five days, decided at the end of day 10, so that the horizon is day 5. */
const policy = { days: 5, fullEveryDays: 2 };
const bases = (count = 10): PlantedBase[] =>
  Array.from({ length: count }, (_, index) => ({
    id: `d${index}`,
    start: index * 4 + 1,
    stop: index * 4 + 2,
    finishedAt: index * day,
    databases: [
      database('t_a', 20_000, tenantId('a'), { object: `data/${tenantId('a')}/${backupId(`d${index}`)}_20000` }),
    ],
  }));
const pieces = (count = 10, timeline = 1): PlantedPiece[] =>
  Array.from({ length: count }, (_, index) => ({
    timeline,
    kind: 'segment',
    start: index * 4,
    end: index * 4 + 4,
    first: index * day,
    last: index * day + day / 2,
    storedAt: index * day,
  }));

function decide(planted: Planted | Catalogue, more: Partial<RetentionRequest> = {}) {
  const catalogue = 'region' in planted ? planted : plantCatalogue(planted);
  return decideRetention({ catalogue, policy, now: at(10 * day), inProgress: [], holds: [], ...more });
}
/** Names of days whose backup stays, and of segments that stay. */
function kept({ keep }: ReturnType<typeof decide>) {
  const names = [...keep.keys()];
  const days = names.flatMap((name) => /^base\/.*\/bak_d(\d)0+\/manifest$/.exec(name)?.[1] ?? []).sort();
  const segments = names.flatMap((name) => /^segments\/.*([0-9a-f])$/.exec(name)?.[1] ?? []).sort();
  return [days.join(''), segments.join('')];
}
const sound = { bases: bases(), pieces: pieces() };

test('what is older than the last good backup before the horizon goes, with the WAL before it and the objects that only it named', () => {
  const decision = decide(sound);
  assert.deepEqual(kept(decision), ['56789', '56789']);
  assert.equal(decision.remove.length, 5 * 4);
  assert.deepEqual(decision.horizon, at(5 * day));
  const order = decision.remove.map((name) => name.split('/')[0] + (name.endsWith('manifest') ? '!' : ''));
  assert.deepEqual([...new Set(order)], ['base!', 'base', 'data', 'segments']);
  assert.match(decision.keep.get(`base/${clusterId}/${backupId('d5')}/manifest`)![0]!, /first moment within retention/);
  assert.match(decision.keep.get(pieceOf(pieces()[7]!).name)![0]!, /replayed from backup bak_d5/);
  assert.deepEqual(kept(decide(sound, { now: at(10 * day - 1) })), ['456789', '456789']);
  assert.deepEqual(decide(sound).warnings, []);
});

test('nothing goes before there is a backup, and the newest backup never goes', () => {
  assert.deepEqual(decide({ pieces: pieces() }, { now: at(900 * day) }).remove, []);
  assert.deepEqual(kept(decide(sound, { now: at(900 * day) })), ['9', '9']);
  assert.match(decide(sound, { now: at(900 * day) }).warnings.join(), /older than 2 days/);
});

test('a database that several backups name stays with the last of them', () => {
  const same = bases().map((base, index) =>
    index > 4 && index < 7 ? { ...base, databases: bases()[2]!.databases } : base,
  );
  const decision = decide({ bases: same, pieces: pieces() });
  assert.match(decision.keep.get(`data/${tenantId('a')}/${backupId('d2')}_20000`)![0]!, /of backup bak_d6/);
  assert.deepEqual(kept(decision), ['56789', '56789']);
});

describe('suspect backups', () => {
  const suspect = (numbers: readonly number[], damaged = true) =>
    bases().map((base, index) =>
      numbers.includes(index)
        ? {
            ...base,
            suspect: true,
            databases: base.databases!.map((one) => (damaged ? { ...one, damagedFiles: ['1'] } : one)),
          }
        : base,
    );
  test('one never counts as the backup from which retention begins', () => {
    assert.deepEqual(kept(decide({ bases: suspect([4, 5]), pieces: pieces() })), ['3456789', '3456789']);
  });
  test('when all are suspect, the newest that is old, and those in which a database is whole', () => {
    const all = suspect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(kept(decide({ bases: all, pieces: pieces() })), ['56789', '56789']);
    const other = database('t_b', 20_001, tenantId('b'), { object: `data/${tenantId('b')}/${backupId('d2')}_20001` });
    const twice = all.map((base, index) =>
      index === 2
        ? {
            ...base,
            databases: [
              { ...base.databases![0]!, damagedFiles: undefined },
              { ...other, damagedFiles: ['1'] },
            ],
          }
        : base,
    );
    assert.deepEqual(kept(decide({ bases: twice, pieces: pieces() }))[0], '256789');
  });
});

describe('clocks', () => {
  const timed = (number: number, more: Partial<PlantedBase>) =>
    bases().map((base, index) => (index === number ? { ...base, ...more } : base));
  test('a backup is old when the server and the region both say so', () => {
    assert.deepEqual(kept(decide({ bases: timed(5, { storedAt: 8 * day }), pieces: pieces() }))[0], '456789');
    assert.deepEqual(kept(decide({ bases: timed(5, { finishedAt: 8 * day }), pieces: pieces() }))[0], '456789');
  });
  test('a young backup that says it is old does not make older ones go', () => {
    const past = -9_000 * day;
    assert.deepEqual(
      kept(decide({ bases: timed(9, { finishedAt: past, startedAt: past, storedAt: past }), pieces: pieces() })),
      ['56789', '56789'],
    );
  });
  test('one from the future is outvoted by seven behind it, and not by fewer', () => {
    const future = { finishedAt: 9_000 * day, storedAt: 9_000 * day };
    assert.deepEqual(kept(decide({ bases: timed(2, future), pieces: pieces() }))[0], '56789');
    assert.deepEqual(kept(decide({ bases: timed(4, future), pieces: pieces() }))[0], '3456789');
    assert.match(decide({ bases: timed(4, future), pieces: pieces() }).warnings.join(), /clock/);
  });
  test('a clock that leaps ahead moves the horizon by two days at most', () => {
    const decision = decide(sound, { now: at(400 * day), lastHorizon: at(4 * day) });
    assert.deepEqual([decision.horizon, kept(decision)[0]], [at(6 * day), '6789']);
    assert.match(decision.warnings.join(), /two days at a time/);
  });
  test('one that is behind keeps more', () => assert.deepEqual(decide(sound, { now: at(3 * day) }).remove, []));
});

describe('somebody needs more', () => {
  test('a hold on a backup, on moments, on an object, on a tenant', () => {
    const reason = 'a court';
    const held = (hold: object) => decide(sound, { holds: [{ reason, ...hold } as RetentionRequest['holds'][number]] });
    assert.deepEqual(kept(held({ kind: 'backup', backupId: backupId('d2') })), ['256789', '23456789']);
    assert.deepEqual(kept(held({ kind: 'since', since: at(3 * day) })), ['3456789', '3456789']);
    const name = pieceOf(pieces()[0]!).name;
    assert.deepEqual(held({ kind: 'object', name }).keep.get(name), [reason]);
    const ofTenant = held({ kind: 'tenant', tenantId: tenantId('a') });
    assert.equal(
      ofTenant.remove.some((one) => one.startsWith('data/')),
      false,
    );
  });
  test('what another region lacks', () => {
    const names = new Set([`base/${clusterId}/${backupId('d3')}/manifest`, pieceOf(pieces()[1]!).name]);
    const decision = decide(sound, { owed: [{ region: 'south', names }] });
    assert.deepEqual(kept(decision), ['356789', '13456789']);
    assert.deepEqual(decision.keep.get(pieceOf(pieces()[1]!).name), ['owed to region south']);
  });
  test('a backup in progress: what it has written, however old it looks; others only for a while', () => {
    const catalogue = plantCatalogue(sound);
    const writing = `data/${tenantId('a')}/${backupId('new')}_20000`;
    const left = `data/${tenantId('a')}/${backupId('left')}_20000`;
    const data = new Map(catalogue.data);
    for (const name of [writing, left]) data.set(name, { name, sizeBytes: 1, storedAt: at(0) });
    const inProgress = [{ clusterId, backupId: backupId('new') }];
    const young = decide({ ...catalogue, data }, { inProgress });
    assert.deepEqual(young.orphans, [left]);
    assert.ok(young.keep.has(writing) && young.keep.has(left));
    const orphanSince = new Map([writing, left].map((name) => [name, at(7 * day)]));
    const old = decide({ ...catalogue, data }, { inProgress, orphanSince });
    assert.ok(old.keep.has(writing) && old.remove.includes(left));
    const fresh = new Map(data).set(left, { name: left, sizeBytes: 1, storedAt: at(9 * day) });
    assert.ok(
      decide({ ...catalogue, data: fresh }, { orphanSince }).keep.has(left),
      'the region says that it is young',
    );
  });
});

describe('what cannot be understood stays', () => {
  const catalogue = plantCatalogue(sound);
  const cluster = catalogue.clusters.get(clusterId)!;
  const changed = (more: Partial<typeof cluster>): Catalogue => ({
    ...catalogue,
    clusters: new Map([[clusterId, { ...cluster, ...more }]]),
  });
  test('a manifest that cannot be read, and every database that it may name', () => {
    const backups = cluster.backups.map((backup, index) =>
      index === 1 ? { ...backup, state: 'unreadable' as const, manifest: undefined } : backup,
    );
    for (const backup of backups) if (backup.state === 'unreadable') delete (backup as { manifest?: unknown }).manifest;
    const decision = decide(changed({ backups: backups as typeof cluster.backups }));
    assert.match(decision.keep.get(`base/${clusterId}/${backupId('d1')}/manifest`)![0]!, /cannot be read/);
    assert.equal(
      decision.remove.some((name) => name.startsWith('data/')),
      false,
    );
    assert.match(decision.warnings.join(), /manifest of bak_d1/);
  });
  test('WAL that cannot be read, names of strangers, a timeline without history', () => {
    const unreadable = [{ name: `wal/${clusterId}/00000001/0000000000000001`, sizeBytes: 1, storedAt: at(0) }];
    const second = decide({ ...sound, pieces: [...pieces(), ...pieces(3, 2)] });
    assert.equal(second.keep.size - decide(sound).keep.size, 3);
    const decision = decide({
      ...changed({ unreadablePieces: unreadable }),
      strangers: ['letters/1'],
      others: ['keys/x/1'],
    });
    for (const name of [unreadable[0]!.name, 'letters/1', 'keys/x/1']) assert.ok(decision.keep.has(name));
  });
});

describe('timelines', () => {
  // Timeline 2 leaves 1 in the middle of day 6; 1 went on to day 8. Names and numbers of timelines say nothing of age.
  const forked = (switchDay: number) => ({
    bases: bases().map((base, index) => (index > switchDay ? { ...base, timeline: 2 } : base)),
    pieces: [...pieces(switchDay + 3), ...pieces(10, 2).slice(switchDay)],
    timelines: [timelineOf(2, [[1, switchDay * 4 + 3]], switchDay * day + day / 2)],
  });
  test('a chain over a switch stays whole, the abandoned end with it', () => {
    const decision = decide(forked(6));
    assert.deepEqual(kept(decision), ['56789', '566778899'.replace('99', '9')]);
    assert.ok([...decision.keep.keys()].some((name) => name.startsWith('history/')));
  });
  test('when the first good backup of the new timeline is old, the old timeline goes, its end too; the history of the newest stays', () => {
    const decision = decide(forked(3));
    assert.deepEqual(kept(decision), ['56789', '56789']);
    assert.ok(decision.remove.includes(pieceOf({ ...pieces()[5]!, timeline: 1 }).name));
    assert.deepEqual(
      decision.remove.filter((name) => name.startsWith('history/')),
      [],
    );
  });
  test('a backup of an abandoned end stays while its timeline was live within retention', () => {
    const late = { ...bases()[6]!, id: 'late', start: 27.5, stop: 27.75 };
    const world = { ...forked(6), bases: [...forked(6).bases, late] };
    const name = `base/${clusterId}/${backupId('late')}/manifest`;
    assert.ok(decide(world).keep.has(name));
    assert.ok(decide(world, { now: at(13 * day) }).remove.includes(name));
  });
});

describe('chunks, dumps, files, keys', () => {
  test('a chunk goes early only when its segment was compared with it', () => {
    const chunk: PlantedPiece = { start: 29, end: 30, first: 7 * day, last: 7 * day };
    const planted = { ...sound, pieces: [...pieces(), chunk] };
    const [segment] = pieces()
      .slice(7)
      .map((piece) => pieceOf(piece).name);
    assert.ok(decide(planted).keep.has(pieceOf(chunk).name));
    assert.ok(decide(planted, { verifiedSegments: new Set([segment!]) }).remove.includes(pieceOf(chunk).name));
    const without = { ...sound, pieces: [...pieces().filter(({ start }) => start !== 28), chunk] };
    assert.ok(decide(without, { verifiedSegments: new Set([segment!]) }).keep.has(pieceOf(chunk).name));
  });
  test('dumps go by two clocks, the last of a tenant stays; files when no row of retention refers to them; all of it with the key', () => {
    const [ada, bob] = [tenantId('a'), tenantId('b')];
    const dump = (owner: typeof ada, number: number, storedAt = number, madeAt?: number) => ({
      name: `dumps/${owner}/${number}`,
      sizeBytes: 1,
      storedAt: at(storedAt * day),
      tenantId: owner,
      dumpId: String(number),
      madeAt: madeAt === undefined ? undefined : at(madeAt * day),
    });
    const file = (name: string, owner = ada) => ({
      name: `files/${owner}/${name}`,
      sizeBytes: 1,
      storedAt: at(0),
      tenantId: owner,
    });
    const catalogue: Catalogue = {
      ...plantCatalogue(sound),
      // The same ids at both tenants.
      dumps: [
        dump(ada, 1, 1, 1),
        dump(ada, 2, 8, 2),
        dump(ada, 3, 3, 8),
        dump(ada, 4),
        dump(ada, 9, 9, 9),
        dump(bob, 1, 1, 1),
      ],
      files: [file('aa/1'), file('aa/2'), file('aa/3'), file('aa/1', bob)],
    };
    const unreferencedFiles = new Map([
      [`files/${ada}/aa/1`, at(4 * day)],
      [`files/${ada}/aa/2`, at(6 * day)],
    ]);
    const ofTenants = ({ remove }: ReturnType<typeof decide>) => remove.filter((name) => /^(dumps|files)/.test(name));
    assert.deepEqual(ofTenants(decide(catalogue, { unreferencedFiles })), [`dumps/${ada}/1`, `files/${ada}/aa/1`]);
    const destroyed = decide(catalogue, { unreferencedFiles, destroyedKeys: new Set([bob]) });
    assert.deepEqual(ofTenants(destroyed), [
      `dumps/${ada}/1`,
      `dumps/${bob}/1`,
      `files/${ada}/aa/1`,
      `files/${bob}/aa/1`,
    ]);
  });
  test('the database of a deleted tenant goes with the last backup that names it, because without it that would be incomplete', () => {
    const decision = decide(sound, { destroyedKeys: new Set([tenantId('a')]) });
    assert.deepEqual(decision.remove, decide(sound).remove);
    assert.match(
      decision.keep.get(`data/${tenantId('a')}/${backupId('d9')}_20000`)![0]!,
      /unreadable, but backup bak_d9/,
    );
  });
  test('everything of a cluster whose key is destroyed goes', () => {
    const decision = decide(sound, { destroyedKeys: new Set([clusterId]) });
    assert.equal(
      [...decision.keep.keys()].some((name) => name.includes(clusterId)),
      false,
    );
  });
  test('a place in the WAL is kept from the beginning of its segment', () => {
    const chunks: PlantedPiece[] = [0, 1, 2, 3].map((quarter) => ({
      start: 20 + quarter,
      end: 21 + quarter,
      first: 5 * day,
      last: 5 * day,
    }));
    const decision = decide({ ...sound, pieces: [...pieces().filter(({ start }) => start !== 20), ...chunks] });
    assert.equal([...decision.keep.keys()].filter((name) => name.startsWith('wal/')).length, 4);
    assert.equal(lsn(21), lsn(20) + lsn(1));
  });
});
