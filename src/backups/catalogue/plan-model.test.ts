/** The planner against a model that replays WAL quarter by quarter from every backup, as PostgreSQL would. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { segmentStart } from '#src/kernel/index.ts';
import {
  at,
  clusterId,
  lsn,
  type PlantedBase,
  type PlantedPiece,
  plantCatalogue,
  quarter,
  timelineOf,
} from './catalogue.fixture.ts';
import { planRestore } from './plan.ts';
import type { PlanResult, RestoreTarget } from './plan-types.ts';
import { findLine, type Line } from './timelines.ts';

/** One commit in each quarter of a segment of each timeline. */
interface World {
  /** Index 0 is timeline 1. `fork`: where it left its parent; `end`: where its WAL ends. */
  readonly timelines: readonly { readonly parent: number; readonly fork: number; readonly end: number }[];
  readonly commitAt: (timeline: number, unit: number) => number;
  readonly bases: readonly PlantedBase[];
  readonly pieces: readonly PlantedPiece[];
}

const worlds = (clock: 'steady' | 'jumping'): fc.Arbitrary<World> =>
  fc
    .record({
      first: fc.integer({ min: 4, max: 40 }),
      children: fc.array(fc.record({ parent: fc.nat(5), fork: fc.nat(60), length: fc.integer({ min: 1, max: 25 }) }), {
        maxLength: 3,
      }),
      steps: fc.array(clock === 'steady' ? fc.integer({ min: 0, max: 3 }) : fc.integer({ min: -6, max: 8 }), {
        minLength: 30,
        maxLength: 30,
      }),
      bases: fc.array(
        fc.record({
          timeline: fc.nat(3),
          start: fc.nat(60),
          length: fc.integer({ min: 1, max: 6 }),
          suspect: fc.boolean(),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      cuts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 10, maxLength: 10 }),
      lost: fc.array(fc.nat(60), { maxLength: 3 }),
      segments: fc.array(fc.nat(20), { maxLength: 4 }),
    })
    .map(({ first, children, steps, bases, cuts, lost, segments }) => {
      const timelines = [{ parent: 0, fork: 0, end: first }];
      for (const child of children) {
        const parent = (child.parent % timelines.length) + 1;
        const { fork: from, end: to } = timelines[parent - 1]!;
        const fork = from + (child.fork % (to - from + 1));
        timelines.push({ parent, fork, end: fork + child.length });
      }
      // Later timelines are later in time, as failovers are.
      const times = new Map<string, number>();
      let now = 0;
      for (const [index, { fork, end }] of timelines.entries())
        for (let unit = fork; unit < end; unit++) {
          now += steps[(unit * 7 + index) % steps.length]!;
          times.set(`${index + 1}/${unit}`, now);
        }
      const parentOf = (timeline: number) => timelines[timeline - 1]!;
      const commitAt = (timeline: number, unit: number): number => {
        const { fork, parent } = parentOf(timeline);
        return unit < fork ? commitAt(parent, unit) : times.get(`${timeline}/${unit}`)!;
      };
      const planted = bases.flatMap(({ timeline: number, start: offset, length, suspect }, index): PlantedBase[] => {
        const timeline = (number % timelines.length) + 1;
        const { fork, end } = parentOf(timeline);
        const start = fork + (offset % (end - fork));
        const stop = Math.min(start + length, end);
        if (stop <= start) return [];
        const finishedAt = Math.max(
          ...Array.from({ length: stop - start }, (_, unit) => commitAt(timeline, start + unit)),
        );
        return [{ id: `b${index}`, timeline, start, stop, startedAt: commitAt(timeline, start), finishedAt, suspect }];
      });
      const pieces: PlantedPiece[] = [];
      const addPiece = (timeline: number, start: number, end: number, kind: 'wal' | 'segment') => {
        const commits = Array.from({ length: end - start }, (_, unit) => commitAt(timeline, start + unit));
        const last = Math.max(...commits);
        pieces.push({ timeline, start, end, kind, first: Math.min(...commits), last, storedAt: last });
      };
      for (const [index, { fork, end }] of timelines.entries()) {
        for (let unit = fork, cut = 0; unit < end; cut++) {
          const to = Math.min(unit + cuts[cut % cuts.length]!, end, (Math.floor(unit / 4) + 1) * 4);
          if (!lost.includes(unit)) addPiece(index + 1, unit, to, 'wal');
          unit = to;
        }
        for (const number of segments)
          if (number * 4 >= Math.floor(fork / 4) * 4 && number * 4 + 4 <= end)
            addPiece(index + 1, number * 4, number * 4 + 4, 'segment');
      }
      return { timelines, commitAt, bases: planted, pieces };
    });

function toCatalogue({ timelines, commitAt, bases, pieces }: World) {
  const ancestorsOf = (timeline: number): [number, number][] => {
    const { parent, fork } = timelines[timeline - 1]!;
    return timeline === 1 ? [] : [...ancestorsOf(parent).filter(([, switchAt]) => switchAt <= fork), [parent, fork]];
  };
  return plantCatalogue({
    bases,
    pieces,
    timelines: timelines
      .slice(1)
      .map(({ fork }, index) => timelineOf(index + 2, ancestorsOf(index + 2), commitAt(index + 2, fork))),
  });
}

const unitOf = (place: bigint) => Number(place / quarter);
const timelineAt = (line: Line, unit: number) => line.findLast((stretch) => unitOf(stretch.start) <= unit)!.timeline;

/** Whether replay along the line from a backup ends at the target, given what of the WAL can be had. */
function replays(
  world: World,
  line: Line,
  base: PlantedBase,
  target: RestoreTarget,
  has: (line: Line, unit: number) => boolean,
): boolean {
  const stretch = line.find(({ timeline }) => timeline === (base.timeline ?? 1));
  if (!stretch || (stretch.end !== undefined && lsn(base.stop) > stretch.end)) return false;
  for (let unit = unitOf(segmentStart(lsn(base.start))); has(line, unit); unit++) {
    if (unit < base.start) continue;
    if (
      target.kind === 'time' &&
      world.commitAt(timelineAt(line, unit), unit) > (target.time.getTime() - at(0).getTime()) / 1000
    )
      return unit >= base.stop;
    if (target.kind === 'lsn' && target.lsn < lsn(unit + 1) && unit + 1 >= base.stop)
      return target.lsn >= lsn(base.stop);
  }
  return false;
}

/** A unit of the line lies in the region: on its own timeline, or in front of a child's beginning in the child's first segment. */
const inRegion = (pieces: readonly PlantedPiece[]) => (line: Line, unit: number) =>
  pieces.some((piece) => {
    if (unit < piece.start || unit >= piece.end) return false;
    const stretch = line.find(({ timeline }) => timeline === piece.timeline);
    if (!stretch || (stretch.end !== undefined && lsn(unit) >= stretch.end)) return false;
    return lsn(unit) >= segmentStart(stretch.start);
  });

const targets = fc.oneof(
  fc.integer({ min: -2, max: 140 }).map((seconds): RestoreTarget => ({ kind: 'time', time: at(seconds) })),
  fc.integer({ min: 0, max: 240 }).map((sixteenths): RestoreTarget => ({ kind: 'lsn', lsn: lsn(sixteenths / 4) })),
);

function check(context: { diagnostic(text: string): void }, clock: 'steady' | 'jumping', numRuns: number): void {
  const seed = Number(process.hrtime.bigint() % 2_147_483_647n);
  context.diagnostic(`seed ${seed}`);
  const seen = new Map<string, number>();
  const property = fc.property(worlds(clock), targets, fc.nat(3), (world, anyTarget, number) => {
    const timeline = (number % world.timelines.length) + 1;
    const target = { ...anyTarget, timeline };
    const catalogue = toCatalogue(world);
    const cluster = catalogue.clusters.get(clusterId)!;
    const line = findLine(cluster, timeline)!;
    const request = { catalogue, clusterId, wanted: { kind: 'cluster' }, now: at(1e6) } as const;
    const result = planRestore({ ...request, target });
    const has = inRegion(world.pieces);
    const able = world.bases.filter((base) => replays(world, line, base, target, has));
    const label = result.outcome === 'plan' ? result.plan.reach : result.outcome;
    seen.set(label, (seen.get(label) ?? 0) + 1);

    if (result.outcome === 'plan') {
      const { plan } = result;
      const chosen = world.bases.find(({ id }) => plan.backup.backupId.startsWith(`bak_${id}`))!;
      const planned = (_: Line, unit: number) => plan.wal.some(({ from, to }) => from <= lsn(unit) && lsn(unit) < to);
      if (plan.reach === 'known')
        assert.ok(replays(world, line, chosen, target, planned), 'what is planned reaches the target');
      if (plan.reach === 'known' && !plan.isSuspect)
        for (const base of able)
          assert.ok(base.suspect || clock === 'jumping' || base.start <= chosen.start, 'no newer good backup would do');
      if (plan.isSuspect && clock === 'steady')
        assert.ok(!able.some(({ suspect }) => !suspect), 'no good backup would do');
      for (const [index, part] of plan.wal.entries()) assert.equal(part.from, plan.wal[index - 1]?.to ?? part.from);
    } else if (clock === 'steady')
      assert.deepEqual(able, [], `${result.outcome}, but some backup replays to the target`);

    if (result.outcome === 'gap')
      checkGap(world, line, result, clock, (pieces) =>
        planRestore({ ...request, target, catalogue: toCatalogue({ ...world, pieces }) }),
      );

    // Without a timeline, it is the plan of one of the timelines.
    const free = planRestore({ ...request, target: anyTarget });
    if (free.outcome === 'plan') {
      const same = planRestore({ ...request, target: { ...anyTarget, timeline: free.plan.timeline } });
      assert.equal(same.outcome === 'plan' && same.plan.backup.backupId, free.plan.backup.backupId);
    }
  });
  fc.assert(property, { seed, numRuns });
  context.diagnostic([...seen].map(([label, count]) => `${label} ${count}`).join(', '));
  for (const label of ['known', 'gap', 'before_oldest', 'after_newest'])
    assert.ok(seen.has(label), `no ${label} among the worlds`);
}

/** What is named is missing, and when it comes, it is missing no more. */
function checkGap(
  world: World,
  line: Line,
  { missing }: Extract<PlanResult, { outcome: 'gap' }>,
  clock: 'steady' | 'jumping',
  planWith: (pieces: readonly PlantedPiece[]) => PlanResult,
): void {
  const has = inRegion(world.pieces);
  assert.ok(missing.length > 0);
  const brought: PlantedPiece[] = [];
  for (const { timeline, start, end } of missing) {
    assert.ok(start < end);
    for (let unit = unitOf(start); lsn(unit) < end; unit++) {
      assert.ok(!has(line, unit), `${timeline}/${unit} is there`);
      assert.equal(timelineAt(line, unit), timeline);
      const time = unit < world.timelines[timeline - 1]!.end ? world.commitAt(timeline, unit) : undefined;
      brought.push({ timeline, start: unit, end: unit + 1, first: time, last: time, storedAt: time ?? 0 });
    }
  }
  // While times jump, what came may speak for another backup, with another hole.
  if (clock === 'steady') assert.notEqual(planWith([...world.pieces, ...brought]).outcome, 'gap');
}

test('plans are those of a replay by hand', (context) => check(context, 'steady', 3_000));
test('with a clock that jumps, what is planned still replays', (context) => check(context, 'jumping', 1_500));
