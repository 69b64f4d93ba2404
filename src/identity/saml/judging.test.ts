import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, type Log, silentLog } from '#src/kernel/index.ts';
import type { Task } from './judge.ts';
import { type JudgingOptions, startJudging } from './judging.ts';

const program = new URL('./worker.fixture.ts', import.meta.url);
const task = (samlResponse: string): Task => ({
  kind: 'response',
  samlResponse,
  nowMs: 0,
  expected: { acsUrl: '', spEntityId: '', idpEntityId: '', certificates: [] },
});

async function withJudging(
  options: Partial<JudgingOptions>,
  run: (reasonOf: (what: string) => Promise<string>, stop: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const judging = startJudging({ log: silentLog, program, ...options });
  const reasonOf = async (what: string) => {
    const outcome = await judging.judge(task(what));
    return outcome.ok ? 'ok' : outcome.reason;
  };
  try {
    await run(reasonOf, () => judging.stop());
  } finally {
    await judging.stop();
  }
}

test('a worker that uses up its time is ended and replaced; this process goes on meanwhile', () =>
  withJudging({ limitMs: 100 }, async (reasonOf) => {
    let turns = 0;
    const turning = setInterval(() => {
      turns += 1;
    }, 5);
    try {
      assert.equal(await reasonOf('spin'), 'overran');
    } finally {
      clearInterval(turning);
    }
    assert.ok(turns > 0, 'the event loop stood still');
    assert.equal(await reasonOf('fine'), 'not_saml');
  }));

test('messages behind one that overruns are judged all the same', () =>
  withJudging({ limitMs: 100 }, async (reasonOf) => {
    const reasons = await Promise.all(['fine', 'spin', 'fine', 'spin', 'fine'].map(reasonOf));
    assert.deepEqual(reasons, ['not_saml', 'overran', 'not_saml', 'overran', 'not_saml']);
  }));

test('a worker that eats memory, throws or leaves takes nothing with it', () =>
  withJudging({ limitMs: 60_000 }, async (reasonOf) => {
    assert.equal(await reasonOf('eat'), 'overran');
    assert.equal(await reasonOf('throw'), 'unavailable');
    assert.equal(await reasonOf('exit'), 'unavailable');
    assert.equal(await reasonOf('fine'), 'not_saml');
  }));

test('what a worker throws is not logged: it may hold pieces of the document', async () => {
  const lines: unknown[] = [];
  const log: Log = { ...createLog({ level: 'silent' }), warn: (...line) => lines.push(line) };
  await withJudging({ log }, async (reasonOf) => {
    assert.equal(await reasonOf('throw'), 'unavailable');
  });
  assert.equal(lines.length, 1);
  assert.ok(!JSON.stringify(lines).includes('secret'));
});

test('the queue is bounded, and more workers judge at once', () =>
  withJudging({ workers: 2, waiting: 1, limitMs: 60_000 }, async (reasonOf, stop) => {
    const waiting = [reasonOf('wait'), reasonOf('wait'), reasonOf('wait')];
    assert.equal(await reasonOf('fine'), 'unavailable');
    await stop();
    assert.deepEqual(await Promise.all(waiting), ['unavailable', 'unavailable', 'unavailable']);
    assert.equal(await reasonOf('fine'), 'unavailable');
  }));

test('a flood of one sender holds nobody else up, and its own queue is bounded', async () => {
  const judging = startJudging({ log: silentLog, program, waitingOfOne: 8, limitMs: 60_000 });
  try {
    const ended: string[] = [];
    const judge = (from: string) => judging.judge(task('fine'), from).then(({ ok }) => ended.push(`${from} ${ok}`));
    // One is with the worker, eight wait.
    const flood = Array.from({ length: 9 }, () => judge('flood'));
    const refused = await judging.judge(task('fine'), 'flood');
    assert.deepEqual(!refused.ok && refused.reason, 'unavailable');
    await Promise.all([...flood, judge('calm'), judge('other'), judge('calm')]);
    assert.deepEqual(
      ended.slice(0, 6).map((line) => line.split(' ')[0]),
      ['flood', 'flood', 'calm', 'other', 'flood', 'calm'],
    );
    assert.equal(ended.length, 12);
  } finally {
    await judging.stop();
  }
});

test('a worker that cannot start refuses, and is tried again', () =>
  withJudging({ program: new URL('./no-such-worker.ts', import.meta.url) }, async (reasonOf) => {
    assert.deepEqual([await reasonOf('fine'), await reasonOf('fine')], ['unavailable', 'unavailable']);
  }));
