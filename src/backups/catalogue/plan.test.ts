import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  at,
  backupId,
  clusterId,
  database,
  lsn,
  type Planted,
  type PlantedPiece,
  plantCatalogue,
  tenantId,
  timelineOf,
} from './catalogue.fixture.ts';
import type { LedgerEntry } from './ledger.ts';
import { planRestore } from './plan.ts';
import type { PlanRequest, PlanResult, RestorePlan, RestoreTarget } from './plan-types.ts';
import { walFilesOf } from './wal-files.ts';

/** One commit per quarter of a segment: the one in quarter `n` says second `n`. */
function pieces(start: number, end: number, timeline = 1, later = 0): PlantedPiece[] {
  return Array.from({ length: end - start }, (_, index) => {
    const time = start + index + later;
    return { timeline, start: start + index, end: start + index + 1, first: time, last: time, storedAt: time };
  });
}
const time = (seconds: number): RestoreTarget => ({ kind: 'time', time: at(seconds) });
const place = (quarters: number, timeline?: number): RestoreTarget => ({ kind: 'lsn', lsn: lsn(quarters), timeline });

function plan(planted: Planted, target: RestoreTarget, more: Partial<PlanRequest> = {}): PlanResult {
  const request = {
    catalogue: plantCatalogue(planted),
    clusterId,
    target,
    wanted: { kind: 'cluster' },
    now: at(1e6),
  } as const;
  return planRestore({ ...request, ...more });
}
function planned(result: PlanResult): RestorePlan {
  assert.equal(
    result.outcome,
    'plan',
    JSON.stringify(result, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
  );
  return (result as Extract<PlanResult, { outcome: 'plan' }>).plan;
}
const rangesOf = ({ wal }: RestorePlan) =>
  wal.map(({ piece, from, to }) => [piece.timeline, Number(from) / Number(lsn(1)), Number(to) / Number(lsn(1))]);
const gap = (...missing: [timeline: number, start: number, end: number][]) =>
  missing.map(([timeline, start, end]) => ({ timeline, start: lsn(start), end: lsn(end) }));

const base = { id: 'a', start: 5, stop: 6, finishedAt: 5 };
const other = { id: 'b', start: 13, stop: 14, finishedAt: 13 };

describe('one timeline', () => {
  const sound = { bases: [base, other], pieces: pieces(0, 24) };

  test('the newest backup that ends before the target, and WAL from the beginning of its segment to just behind the target', () => {
    const found = planned(plan(sound, time(17)));
    assert.equal(found.backup.backupId, backupId('b'));
    assert.deepEqual(rangesOf(found).at(0), [1, 12, 13]);
    assert.deepEqual(rangesOf(found).at(-1), [1, 18, 19]);
    assert.deepEqual([found.reach, found.isSuspect, found.timeline, found.nextHoles], ['known', false, 1, []]);
  });

  test('exactly at the edges', () => {
    assert.equal(planned(plan(sound, time(13))).backup.backupId, backupId('b'));
    assert.equal(planned(plan(sound, time(12.999))).backup.backupId, backupId('a'));
    assert.equal(planned(plan(sound, place(14))).backup.backupId, backupId('b'));
    assert.equal(planned(plan(sound, place(13.75))).backup.backupId, backupId('a'));
    assert.equal(planned(plan(sound, place(6))).backup.backupId, backupId('a'));
    assert.equal(plan(sound, place(5.75)).outcome, 'before_oldest');
    assert.equal(planned(plan(sound, time(5))).backup.backupId, backupId('a'));
    assert.equal(planned(plan(sound, time(22.999))).reach, 'known');
    assert.equal(planned(plan(sound, place(23.75))).reach, 'known');
    assert.equal(plan(sound, time(23)).outcome, 'after_newest');
    assert.equal(plan(sound, place(24)).outcome, 'after_newest');
  });

  test('before the oldest backup and behind the newest WAL: told with the nearest moment', () => {
    assert.deepEqual(plan(sound, time(4)), {
      outcome: 'before_oldest',
      region: 'north',
      oldest: { backupId: backupId('a'), timeline: 1, lsn: lsn(6), time: at(5) },
    });
    assert.deepEqual(plan(sound, time(99)), {
      outcome: 'after_newest',
      region: 'north',
      newest: { timeline: 1, lsn: lsn(24), time: at(23) },
    });
    assert.deepEqual(plan({}, time(4)), { outcome: 'before_oldest', region: 'north', oldest: undefined });
    assert.deepEqual(plan({ pieces: pieces(0, 9) }, time(4)), {
      outcome: 'before_oldest',
      region: 'north',
      oldest: undefined,
    });
  });

  test('a hole before the target is named, one behind it is no matter', () => {
    const holed = { ...sound, pieces: [...pieces(0, 15), ...pieces(17, 19), ...pieces(20, 24)] };
    const missed = { outcome: 'gap', region: 'north', backupId: backupId('b') };
    assert.deepEqual(plan(holed, time(18)), { ...missed, missing: gap([1, 15, 17], [1, 19, 20]) });
    assert.deepEqual(plan(holed, place(16.5)), {
      ...missed,
      missing: [{ timeline: 1, start: lsn(15), end: lsn(16.5) + 1n }],
    });
    assert.deepEqual(planned(plan(holed, time(13))).nextHoles, gap([1, 15, 17], [1, 19, 20]));
    assert.equal(plan({ ...sound, pieces: pieces(0, 24).slice(13) }, time(17)).outcome, 'gap');
  });

  test('a backup without the WAL of its own end is none, whatever is asked of it', () => {
    const cut = { bases: [base], pieces: pieces(0, 5) };
    assert.equal(plan(cut, place(6)).outcome, 'gap');
    for (const target of [time(5), { kind: 'xid', xid: '7', after: at(9) } as const])
      assert.deepEqual(plan(cut, target), {
        outcome: 'gap',
        region: 'north',
        backupId: backupId('a'),
        missing: gap([1, 5, 6]),
      });
  });

  test('chunks and segments that overlap while they are compacted', () => {
    const segment: PlantedPiece = { kind: 'segment', start: 16, end: 20, first: 16, last: 19 };
    const both = { ...sound, pieces: [...pieces(0, 24), segment] };
    assert.deepEqual(rangesOf(planned(plan(both, place(21)))).slice(-3), [
      [1, 16, 20],
      [1, 20, 21],
      [1, 21, 22],
    ]);
    const partly = { ...sound, pieces: [...pieces(0, 16), ...pieces(18, 24), segment] };
    assert.deepEqual(rangesOf(planned(plan(partly, time(20)))).slice(-2), [
      [1, 20, 21],
      [1, 21, 22],
    ]);
    const crooked = {
      ...sound,
      pieces: [
        ...pieces(0, 15),
        { start: 14, end: 18, first: 14, last: 17 },
        { start: 17, end: 24, first: 17, last: 23 },
      ],
    };
    assert.deepEqual(rangesOf(planned(plan(crooked, place(19)))).slice(-2), [
      [1, 14, 18],
      [1, 18, 24],
    ]);
  });

  test('a suspect backup only when nothing else reaches the target, and it says so', () => {
    const bases = [base, { ...other, suspect: true }];
    const good = planned(plan({ ...sound, bases }, time(17)));
    assert.deepEqual([good.backup.backupId, good.isSuspect], [backupId('a'), false]);
    const broken = planned(plan({ bases, pieces: pieces(0, 24).filter(({ start }) => start !== 9) }, time(17)));
    assert.deepEqual([broken.backup.backupId, broken.isSuspect], [backupId('b'), true]);
    const alone = planned(plan({ ...sound, bases: bases.slice(1) }, time(17)));
    assert.deepEqual([alone.backup.backupId, alone.isSuspect], [backupId('b'), true]);
  });

  test('the clock of the server was set back: the first passing of the time is what recovery reaches', () => {
    const skewed = pieces(0, 24).map((piece) =>
      piece.start < 18 ? piece : { ...piece, first: piece.start - 3, last: piece.start - 3 },
    );
    const found = planned(plan({ ...sound, pieces: skewed }, time(16)));
    assert.deepEqual([rangesOf(found).at(-1), found.clockWentBack], [[1, 17, 18], true]);
    assert.equal(planned(plan({ ...sound, pieces: skewed }, time(14))).clockWentBack, false);
  });

  test('without times in the headers everything comes along, and what was stored before the target reaches it no more', () => {
    const timeless = pieces(0, 24).map(({ start, end, storedAt }) => ({ start, end, storedAt }));
    const found = planned(plan({ ...sound, pieces: timeless }, time(17)));
    assert.deepEqual([found.reach, rangesOf(found).at(-1)], ['likely', [1, 23, 24]]);
    assert.equal(plan({ ...sound, pieces: timeless }, time(23)).outcome, 'after_newest');
    const holed = timeless.filter(({ start }) => start !== 16);
    assert.deepEqual((plan({ ...sound, pieces: holed }, time(17)) as { missing: unknown }).missing, gap([1, 16, 17]));
    // A region whose clock is ahead proves nothing.
    const ahead = timeless.map((piece) => ({ ...piece, storedAt: 2e6 }));
    assert.equal(plan({ ...sound, pieces: ahead }, time(17)).outcome, 'after_newest');
  });

  test('a restore point and a transaction', () => {
    assert.deepEqual(rangesOf(planned(plan(sound, { kind: 'name', name: 'n', lsn: lsn(15) }))).at(-1), [1, 14, 15]);
    for (const target of [
      { kind: 'name', name: 'n', after: at(14) },
      { kind: 'xid', xid: '7', after: at(14) },
    ] as const) {
      const found = planned(plan(sound, target));
      assert.deepEqual(
        [found.backup.backupId, found.reach, rangesOf(found).at(-1)],
        [backupId('b'), 'likely', [1, 23, 24]],
      );
    }
  });
});

describe('several timelines', () => {
  // 1: 0–18, its end from 15 on abandoned; 2 leaves it at 15 and ends at 26; 3 leaves 2 at 22. Timeline 2 began at second 30, 3 at 60.
  const forked = {
    bases: [base],
    pieces: [...pieces(0, 18), ...pieces(15, 26, 2, 15), ...pieces(22, 30, 3, 40)],
    timelines: [
      timelineOf(2, [[1, 15]], 30),
      timelineOf(
        3,
        [
          [1, 15],
          [2, 22],
        ],
        60,
      ),
    ],
  };

  test('a time is restored on the timeline that was live then', () => {
    assert.deepEqual(
      planned(plan(forked, time(16))).line.map(({ timeline }) => timeline),
      [1],
    );
    const second = planned(plan(forked, time(33)));
    assert.deepEqual([second.timeline, second.histories.length, rangesOf(second).at(-1)], [2, 1, [2, 19, 20]]);
    const third = planned(plan(forked, time(65)));
    assert.deepEqual(
      third.line.map(({ timeline }) => timeline),
      [1, 2, 3],
    );
    const pastFork = rangesOf(third).filter(([, start]) => start! >= 14);
    assert.equal(pastFork.map(([timeline]) => timeline).join(''), '1222222233333');
    assert.deepEqual(pastFork.at(-1), [3, 26, 27]);
  });

  test('between the last commit of a timeline and the first of its child: on the child, and what it leaves behind is named', () => {
    const found = planned(plan(forked, time(25)));
    assert.deepEqual([found.timeline, rangesOf(found).at(-1)], [2, [2, 15, 16]]);
    assert.deepEqual(found.abandoned, { timeline: 1, start: lsn(15), end: lsn(18) });
    assert.equal(plan({ ...forked, pieces: [...pieces(0, 18), ...pieces(16, 26, 2, 15)] }, time(25)).outcome, 'gap');
  });

  test('an LSN is meant on the newest timeline, unless another is named', () => {
    assert.deepEqual(planned(plan(forked, place(16))).timeline, 3);
    assert.deepEqual(rangesOf(planned(plan(forked, place(16, 1)))).at(-1), [1, 16, 17]);
    assert.deepEqual(rangesOf(planned(plan(forked, place(24, 2)))).at(-1), [2, 24, 25]);
    assert.equal(plan(forked, place(18, 1)).outcome, 'after_newest');
    assert.equal(plan(forked, place(28, 2)).outcome, 'after_newest');
  });

  test('a hole is named on the timeline that has it', () => {
    const holed = { ...forked, pieces: [...pieces(0, 14), ...pieces(16, 20, 2, 15), ...pieces(22, 30, 3, 40)] };
    assert.deepEqual(
      (plan(holed, time(65)) as { missing: unknown }).missing,
      gap([1, 14, 15], [2, 15, 16], [2, 20, 22]),
    );
  });

  test('a child serves the parent’s bytes only within the segment in which it begins', () => {
    const segment: PlantedPiece = { timeline: 2, kind: 'segment', start: 12, end: 16, first: 12, last: 30 };
    const compacted = { ...forked, pieces: [...pieces(0, 12), segment, ...pieces(16, 26, 2, 15)] };
    const found = planned(plan(compacted, place(18, 2)));
    assert.deepEqual(rangesOf(found).slice(-4), [
      [2, 12, 16],
      [2, 16, 17],
      [2, 17, 18],
      [2, 18, 19],
    ]);
    const stray = { timeline: 2, start: 8, end: 12, first: 8, last: 11 };
    const lost = { ...forked, pieces: [...pieces(0, 8), stray, ...pieces(12, 15), ...pieces(15, 26, 2, 15)] };
    assert.deepEqual((plan(lost, place(18, 2)) as { missing: unknown }).missing, gap([1, 8, 12]));
  });

  test('a backup that was not finished when the line left its timeline is not on the line', () => {
    const across = { id: 'x', start: 14, stop: 16, finishedAt: 15 };
    assert.equal(planned(plan({ ...forked, bases: [base, across] }, time(33))).backup.backupId, backupId('a'));
    assert.equal(planned(plan({ ...forked, bases: [base, across] }, place(17, 1))).backup.backupId, backupId('x'));
    const exactly = { ...across, stop: 15, finishedAt: 14 };
    assert.equal(planned(plan({ ...forked, bases: [base, exactly] }, time(33))).backup.backupId, backupId('x'));
  });

  test('a missing history file is an error, never a silent restore of the older timeline', () => {
    const lost = { ...forked, timelines: forked.timelines.slice(0, 1) };
    assert.deepEqual(plan(lost, time(65)), { outcome: 'history_missing', region: 'north', timeline: 3 });
    const unreadable = {
      ...forked,
      timelines: [forked.timelines[0]!, { ...forked.timelines[1]!, ancestors: undefined }],
    };
    assert.deepEqual(plan(unreadable, place(25)), { outcome: 'history_missing', region: 'north', timeline: 3 });
    assert.equal(plan(lost, time(33)).outcome, 'plan');
  });

  test('files as PostgreSQL asks for them', () => {
    const files = walFilesOf(planned(plan(forked, time(65))));
    const shown = files.map(({ fileName, parts }) => [fileName, parts.map(({ piece }) => piece.timeline).join('')]);
    assert.deepEqual(shown, [
      ['000000010000000000000001', '1111'],
      ['000000010000000000000002', '1111'],
      ['000000020000000000000003', '1112'],
      ['000000020000000000000004', '2222'],
      ['000000030000000000000005', '2233'],
      ['000000030000000000000006', '333'],
    ]);
  });
});

describe('what is wanted', () => {
  const [ada, bob] = [tenantId('a'), tenantId('b')];
  const own = database('control', 16_384, undefined);
  const prepared = database('t_next', 20_002, undefined);
  const databases = [
    database('postgres', 5, undefined),
    own,
    prepared,
    database('t_ada', 20_000, ada),
    database('t_bob', 20_001, bob),
  ];
  const world = {
    bases: [
      { ...base, databases },
      { ...other, databases },
    ],
    pieces: pieces(0, 24),
  };
  const entry = (more: Partial<LedgerEntry> & { at: Date }): LedgerEntry => ({
    tenantId: ada,
    lsn: undefined,
    timeline: undefined,
    tenantName: 'ada',
    state: 'active',
    databaseName: 't_ada',
    databaseOid: undefined,
    ...more,
  });

  test('one tenant: its own database and those of nobody, not other tenants’ and not those prepared', () => {
    const found = planned(plan(world, time(17), { wanted: { kind: 'tenant', tenantId: ada } }));
    assert.deepEqual(
      found.databases.map(({ name }) => name),
      ['postgres', 'control', 't_ada'],
    );
    assert.deepEqual(found.database, { oid: 20_000, name: 't_ada', tenantId: ada, isMadeByWal: false });
    assert.equal(planned(plan(world, time(17))).databases.length, 5);
  });

  test('the ledger decides which database was the tenant’s then', () => {
    const ledger = [
      entry({ at: at(0), state: 'creating', databaseName: undefined }),
      entry({ at: at(1) }),
      entry({ at: at(15), databaseName: 't_next' }),
      entry({ at: at(16), databaseName: 't_new', databaseOid: 30_000 }),
      entry({ at: at(18), state: 'deleting', databaseName: 't_new', databaseOid: 30_000 }),
      entry({ at: at(19), state: 'deleting', databaseName: undefined }),
    ];
    const asked = (seconds: number) =>
      plan(world, time(seconds), { wanted: { kind: 'tenant', tenantId: ada }, ledger });
    assert.equal(planned(asked(14)).database!.oid, 20_000);
    assert.deepEqual(planned(asked(15)).database, { oid: 20_002, name: 't_next', tenantId: ada, isMadeByWal: false });
    assert.deepEqual(planned(asked(17)).database, { oid: 30_000, name: 't_new', tenantId: ada, isMadeByWal: true });
    assert.deepEqual(asked(20), { outcome: 'unknown_database', region: 'north', reason: 'no_longer' });
    const notYet = { outcome: 'unknown_database', region: 'north', reason: 'not_yet', since: at(1) };
    for (const seconds of [0.5, -1]) assert.deepEqual(asked(seconds), notYet);
    const stranger = plan(world, time(17), { wanted: { kind: 'tenant', tenantId: tenantId('c') }, ledger });
    assert.deepEqual(stranger, { outcome: 'unknown_database', region: 'north', reason: 'never_known' });
  });

  test('a key that is gone: the tenant is not restored, a whole cluster without it', () => {
    const destroyedKeys = new Set([ada]);
    const alone = plan(world, time(17), { wanted: { kind: 'tenant', tenantId: ada }, destroyedKeys });
    assert.deepEqual(alone, { outcome: 'key_destroyed', owner: ada });
    const found = planned(plan(world, time(17), { destroyedKeys }));
    assert.deepEqual([found.databases.length, found.unreadable.map(({ name }) => name)], [4, ['t_ada']]);
    assert.equal(
      planned(plan(world, time(17), { wanted: { kind: 'tenant', tenantId: bob }, destroyedKeys })).database!.oid,
      20_001,
    );
  });

  test('an object that is missing matters to those who need it', () => {
    const fresh = databases.map((one) => (one.tenantId === ada ? { ...one, object: `${one.object}2` } : one));
    const bases = [world.bases[0]!, { ...other, databases: fresh, without: [`data/${ada}/t_ada2`] }];
    const asked = (wanted: PlanRequest['wanted']) =>
      planned(plan({ ...world, bases }, time(17), { wanted })).backup.backupId;
    assert.equal(asked({ kind: 'cluster' }), backupId('a'));
    assert.equal(asked({ kind: 'tenant', tenantId: ada }), backupId('a'));
    assert.equal(asked({ kind: 'tenant', tenantId: bob }), backupId('b'));
  });

  test('a damaged page matters to the tenant whose it is', () => {
    const damaged = databases.map((one) => (one.tenantId === ada ? { ...one, damagedFiles: ['1'] } : one));
    const bases = [world.bases[0]!, { ...other, databases: damaged, suspect: true }];
    const asked = (wanted: PlanRequest['wanted']) => planned(plan({ ...world, bases }, time(17), { wanted }));
    assert.equal(asked({ kind: 'tenant', tenantId: ada }).backup.backupId, backupId('a'));
    assert.deepEqual(
      [asked({ kind: 'tenant', tenantId: bob }).backup.backupId, asked({ kind: 'tenant', tenantId: bob }).isSuspect],
      [backupId('b'), false],
    );
    assert.equal(asked({ kind: 'cluster' }).backup.backupId, backupId('a'));
  });
});
