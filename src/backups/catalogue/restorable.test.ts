/** The stretches that people choose a moment from, against the planner, which is asked for every second. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { at, clusterId, database, type Planted, plantCatalogue, tenantId, timelineOf } from './catalogue.fixture.ts';
import { planRestore } from './plan.ts';
import { findRestorable } from './restorable.ts';

const oid = 700;
const databases = [database('postgres', 5, undefined), database('t_a', oid, tenantId('a'))];

function compare(planted: Planted, seconds: number): void {
  const catalogue = plantCatalogue(planted);
  const stretches = findRestorable({ catalogue, clusterId, oid });
  const told: number[] = [];
  const planned: number[] = [];
  for (let second = 0; second <= seconds; second++) {
    const time = at(second);
    if (stretches.some(({ from, to }) => from <= time && time < to)) told.push(second);
    const result = planRestore({
      catalogue,
      clusterId,
      target: { kind: 'time', time },
      wanted: { kind: 'database', oid },
      now: at(seconds + 100),
    });
    if (result.outcome === 'plan') planned.push(second);
  }
  assert.deepEqual(told, planned);
}

/** A piece per quarter of a segment, a commit every ten seconds. */
const piece = (quarter: number, more: { timeline?: number } = {}) => ({
  start: quarter,
  end: quarter + 1,
  first: quarter * 10,
  last: quarter * 10 + 9,
  ...more,
});
const base = (id: string, quarter: number) => ({
  id,
  start: quarter,
  stop: quarter + 1,
  finishedAt: quarter * 10 + 5,
  databases,
});

test('one stretch from the first backup to the end of the WAL', () => {
  const planted = { bases: [base('x', 2)], pieces: [0, 1, 2, 3, 4, 5].map((quarter) => piece(quarter)) };
  compare(planted, 80);
  const [stretch, ...more] = findRestorable({ catalogue: plantCatalogue(planted), clusterId, oid });
  assert.deepEqual([stretch, more], [{ from: at(29), to: at(59), isOpen: true }, []]);
});

test('a gap ends it until the next backup', () => {
  const pieces = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12].map((quarter) => piece(quarter));
  compare({ bases: [base('x', 0), base('y', 9)], pieces }, 150);
  compare({ bases: [base('x', 0)], pieces }, 150);
  const catalogue = plantCatalogue({ bases: [base('x', 0)], pieces });
  assert.deepEqual(
    findRestorable({ catalogue, clusterId, oid }).map(({ isOpen }) => isOpen),
    [false],
    'what comes behind the gap does not make it longer',
  );
  compare({ bases: [base('x', 0), base('y', 4)], pieces }, 150);
});

test('a database whose object is not there, and one that no backup holds', () => {
  const pieces = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((quarter) => piece(quarter));
  const lost = { ...base('x', 0), without: [`data/${tenantId('a')}/t_a`] };
  compare({ bases: [lost, base('y', 5)], pieces }, 100);
  compare({ bases: [{ ...base('x', 0), databases: databases.slice(0, 1) }], pieces }, 100);
  assert.deepEqual(findRestorable({ catalogue: plantCatalogue({}), clusterId, oid }), []);
});

test('over a failover, with what the old timeline had and the new one did not', () => {
  const pieces = [
    ...[0, 1, 2, 3, 4, 5].map((quarter) => piece(quarter)),
    ...[5, 6, 7, 8].map((quarter) => ({ ...piece(quarter + 2), start: quarter, end: quarter + 1, timeline: 2 })),
  ];
  const timelines = [timelineOf(2, [[1, 5]], 70)];
  compare({ bases: [base('x', 0)], pieces, timelines }, 140);
});

test('any catalogue of one timeline: exactly the moments that the planner reaches', (context) => {
  const seed = Date.now() % 2 ** 31;
  context.diagnostic(`seed ${seed}`);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(30), { minLength: 1, maxLength: 30 }),
      fc.uniqueArray(fc.nat(28), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.nat(4),
      (quarters, starts, withTimes, suspect) => {
        const pieces = quarters.map((quarter) => {
          const { first: _first, last, ...place } = piece(quarter);
          return withTimes ? piece(quarter) : { ...place, storedAt: last };
        });
        const bases = starts.map((start, index) => ({ ...base(`b${index}`, start), suspect: index === suspect }));
        compare({ bases, pieces }, 330);
      },
    ),
    { seed, numRuns: 200 },
  );
});
