import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { JobView } from '#src/console-api/index.ts';
import { migrate } from '#src/databases/index.ts';
import { silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { createPool, type Pool } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createJobs, type Job, type Jobs } from './jobs.ts';
import { Shutdown } from './shutdown.ts';

const dayMs = 24 * 60 * 60_000;
const name = 'sweep';

let cluster: TestCluster;
let db: Pool;
let shutdown: Shutdown;
let jobs: Jobs;
let aheadMs: number;
let runs: number;
before(async () => {
  cluster = await startTestCluster();
  await migrate(cluster.control, { schema: 'public', folder: new URL('../../migrations/control/', import.meta.url) });
  db = createPool(cluster.control, { max: 4, applicationName: 'test' });
});
beforeEach(async () => {
  await db.query('DELETE FROM jobs');
  aheadMs = 0;
  runs = 0;
  restart();
});
after(async () => {
  await shutdown?.run();
  await db?.stop();
  await cluster?.stop();
});

function restart(): void {
  shutdown = new Shutdown(silentLog);
  const clock = { ...systemClock, now: () => Date.now() + aheadMs };
  jobs = createJobs({ db, clock, log: silentLog, shutdown });
}

function add(run: Job['run'], firstAfterMs = 0): void {
  jobs.add({ name, everyMs: dayMs, firstAfterMs, retryAfterMs: 30, overdueAfterMs: 2 * dayMs, run });
}
const count = async (): Promise<void> => {
  runs += 1;
};

function viewed(is: (view: JobView) => boolean): Promise<JobView> {
  return waitFor('the job to look so', async () => (await jobs.list()).find(is), { deadlineMs: 60_000 });
}

test('runs soon, once, and not again after a restart before it is due', async () => {
  add(count);
  const { succeededAt } = await viewed(({ state }) => state === 'succeeded');
  await shutdown.run();
  restart();
  add(count);
  let later = 0;
  jobs.add({
    name: 'later',
    everyMs: dayMs,
    firstAfterMs: 0,
    retryAfterMs: 30,
    overdueAfterMs: dayMs,
    run: async () => void later++,
  });
  // Begun behind it: when this one has run, that one has looked.
  await waitFor('the other job', () => later > 0, { deadlineMs: 60_000 });
  assert.equal((await viewed((view) => view.name === name)).succeededAt, succeededAt);
  assert.equal(runs, 1);
  await shutdown.run();
  aheadMs = dayMs + 1;
  restart();
  add(count);
  await waitFor('the next day', () => runs === 2, { deadlineMs: 60_000 });
  await shutdown.run();
});

test('a failure is shown, tried again, and forgotten by a success', async () => {
  let isBroken = true;
  add(async () => {
    await count();
    if (isBroken) throw new Error('no room at the inn');
  });
  const { error } = await viewed(({ state }) => state === 'failed');
  assert.equal(error?.code, 'FH_INTERNAL');
  await waitFor('another try', () => runs > 2, { deadlineMs: 60_000 });
  isBroken = false;
  assert.equal((await viewed(({ state }) => state === 'succeeded')).error, undefined);
  await shutdown.run();
});

test('a job that never succeeds, or no longer, is overdue', async () => {
  add(async () => {
    throw new Error('broken');
  });
  assert.equal((await viewed(({ state }) => state === 'failed')).isOverdue, false);
  aheadMs = 2 * dayMs + 60_000;
  assert.equal((await viewed(() => true)).isOverdue, true);
  await shutdown.run();
});

test('a job by command and by schedule is one run; its failure reaches who asked', async () => {
  let goOn = (): void => {};
  add(async (signal) => {
    await count();
    await new Promise<void>((resolve) => {
      goOn = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    throw new Error('broken');
  });
  await viewed(({ state }) => state === 'running');
  const asked = assert.rejects(jobs.runNow(name), /broken/);
  goOn();
  await asked;
  assert.equal(runs, 1);
  await shutdown.run();
});

test('a success that lies in the future is a clock that was set back: it holds nothing up', async () => {
  aheadMs = 300 * dayMs;
  add(count);
  await viewed(({ state }) => state === 'succeeded');
  await shutdown.run();
  aheadMs = 0;
  restart();
  add(count);
  await waitFor('another run', () => runs === 2, { deadlineMs: 60_000 });
  await shutdown.run();
});

test('the end of control is no failure of the job', async () => {
  add(
    (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
  );
  await viewed(({ state }) => state === 'running');
  await shutdown.run();
  const [row] = await db.query<{ failedAt: Date | null }>('SELECT failed_at AS "failedAt" FROM jobs WHERE job = $1', [
    name,
  ]);
  assert.equal(row?.failedAt, null);
});
