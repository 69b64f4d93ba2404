import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '#src/kernel/index.ts';
import { createLagHistory, type LagSample } from './lag-history.ts';

const minuteMs = 60_000;

function world() {
  let now = Date.UTC(2026, 0, 1);
  const clock: Clock = { now: () => now, monotonicMs: () => now };
  const history = createLagHistory(clock);
  const note = (lagMs: number | undefined) => {
    const sample: LagSample = { kind: 'region', name: 'a', lagMs, behindBytes: lagMs };
    history.note([sample]);
  };
  return {
    history,
    note,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

test('the worst of each stretch is kept, and what was not measured is not known', () => {
  const { history, note, pass } = world();
  assert.deepEqual(history.read(5 * minuteMs).series, []);
  for (const lag of [3, 900, 4]) {
    note(lag);
    pass(1_000);
  }
  pass(17_000);
  note(7);
  pass(10_000);
  note(undefined);
  const { from, everyMs, series } = history.read(5 * minuteMs);
  assert.equal(everyMs, 10_000);
  const figures = series[0]!.lagMs;
  assert.equal(Date.parse(from) + figures.length * everyMs, Date.UTC(2026, 0, 1) + 40_000);
  assert.deepEqual(figures.slice(-5), [null, 900, null, 7, null]);
});

test('a day is kept, no longer, and told in figures few enough to draw', () => {
  const { history, note, pass } = world();
  note(5_000);
  for (let minute = 0; minute < 24 * 60 + 10; minute++) {
    pass(minuteMs);
    note(1);
  }
  const { series, everyMs } = history.read(24 * 60 * minuteMs);
  const { lagMs } = series[0]!;
  assert.ok(lagMs.length <= 241, String(lagMs.length));
  assert.equal(everyMs, 360_000);
  assert.ok(lagMs.every((lag) => lag === 1 || lag === null));
});

test('a clock that is set back begins anew', () => {
  const { history, note, pass } = world();
  note(9);
  pass(-30 * minuteMs);
  note(2);
  const known = history.read(60 * minuteMs).series[0]!.lagMs.filter((lag) => lag !== null);
  assert.deepEqual(known, [2]);
});
