import { setTimeout as delay } from 'node:timers/promises';
import type { JobView } from '#src/console-api/index.ts';
import { type Clock, type Log, toFreeholdError } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { Shutdown } from './shutdown.ts';

export interface Job {
  /** In lower-case words, as people read it: `base backup`. */
  readonly name: string;
  /** From one success to the next run. */
  readonly everyMs: number;
  /** After the start of control, at the earliest. */
  readonly firstAfterMs: number;
  readonly retryAfterMs: number;
  /** Without a success for so long, something is wrong: a warning in health. */
  readonly overdueAfterMs: number;
  /** One run; rejects when it failed. The signal is aborted when control stops. */
  run(signal: AbortSignal): Promise<void>;
}

export interface Jobs {
  /** Begins to run it on schedule. */
  add(job: Job): void;
  /** Runs it now, or waits for the run that goes on. Rejects when it fails. */
  runNow(name: string): Promise<void>;
  list(): Promise<JobView[]>;
}

/** A clock that was set, and a day that ended while the machine slept, are noticed after so long. */
const lookEveryMs = 30_000;
const neverMs = Number.NEGATIVE_INFINITY;

interface Entry {
  readonly job: Job;
  running: Promise<void> | undefined;
}

/** Recurring work of control. When each job last succeeded lies in the control database, so the schedule goes on after a restart. */
export function createJobs({
  db,
  clock,
  log,
  shutdown,
}: {
  readonly db: Queryable;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}): Jobs {
  const entries = new Map<string, Entry>();
  const loops: Promise<void>[] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  shutdown.add('jobs', 20_000, async () => {
    stopping.abort();
    await Promise.all(loops);
  });
  const now = () => new Date(clock.now());

  /** A job that runs is never begun a second time. */
  function begin(entry: Entry): Promise<void> {
    entry.running ??= attempt(entry.job).finally(() => {
      entry.running = undefined;
    });
    return entry.running;
  }

  async function attempt(job: Job): Promise<void> {
    await db.query(
      `INSERT INTO jobs (job, known_since, started_at) VALUES ($1, $2, $2)
       ON CONFLICT (job) DO UPDATE SET started_at = excluded.started_at`,
      [job.name, now()],
    );
    try {
      await job.run(signal);
    } catch (error) {
      // Cut short by the end of control: the next start begins it again.
      if (!signal.aborted) {
        log.error('a job failed', { job: job.name, error });
        const { code, message } = toFreeholdError(error);
        await db.query('UPDATE jobs SET failed_at = $2, error = $3 WHERE job = $1', [
          job.name,
          now(),
          JSON.stringify({ code, text: message }),
        ]);
      }
      throw error;
    }
    await db.query('UPDATE jobs SET succeeded_at = $2 WHERE job = $1', [job.name, now()]);
  }

  async function keepSchedule(entry: Entry): Promise<void> {
    const { name, everyMs, firstAfterMs, retryAfterMs } = entry.job;
    let isKnown = false;
    let nextTryAt = clock.now() + firstAfterMs;
    for (;;) {
      const pauseMs = Math.min(Math.max(nextTryAt - clock.now(), 0), lookEveryMs);
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return void (await entry.running?.catch(() => {}));
      try {
        if (!isKnown) {
          await db.query('INSERT INTO jobs (job, known_since) VALUES ($1, $2) ON CONFLICT DO NOTHING', [name, now()]);
          isKnown = true;
        }
        if (clock.now() < nextTryAt) continue;
        const [row] = await db.query<{ succeededAt: Date | null }>(
          'SELECT succeeded_at AS "succeededAt" FROM jobs WHERE job = $1',
          [name],
        );
        const succeededAt = row?.succeededAt?.getTime() ?? neverMs;
        // A success in the future is a clock that was set back: it counts for nothing.
        if (succeededAt <= clock.now() && succeededAt + everyMs > clock.now()) {
          nextTryAt = succeededAt + everyMs;
          continue;
        }
        await begin(entry);
        nextTryAt = clock.now() + everyMs;
      } catch (error) {
        if (!signal.aborted && !isKnown) log.warn('a job could not be scheduled yet', { job: name, error });
        nextTryAt = clock.now() + retryAfterMs;
      }
    }
  }

  return {
    add(job) {
      const entry: Entry = { job, running: undefined };
      entries.set(job.name, entry);
      loops.push(keepSchedule(entry));
    },
    async runNow(name) {
      const entry = entries.get(name);
      if (!entry) throw new TypeError(`no job is called ${name}`);
      await begin(entry);
    },
    async list() {
      const rows = await db.query<{
        job: string;
        knownSince: Date;
        startedAt: Date | null;
        succeededAt: Date | null;
        failedAt: Date | null;
        error: { code: string; text: string } | null;
      }>(
        `SELECT job, known_since AS "knownSince", started_at AS "startedAt", succeeded_at AS "succeededAt", failed_at AS "failedAt", error
         FROM jobs WHERE job = ANY ($1) ORDER BY job`,
        [[...entries.keys()]],
      );
      return rows.map(({ job, knownSince, startedAt, succeededAt, failedAt, error }) => {
        const entry = entries.get(job)!;
        const lateAt = (succeededAt ?? knownSince).getTime() + entry.job.overdueAfterMs;
        const hasFailed = failedAt !== null && failedAt > (succeededAt ?? new Date(0));
        return {
          name: job,
          state: entry.running ? 'running' : hasFailed ? 'failed' : succeededAt ? 'succeeded' : 'waiting',
          ...(startedAt && { startedAt: startedAt.toISOString() }),
          ...(succeededAt && { succeededAt: succeededAt.toISOString() }),
          ...(hasFailed && error && { error: { ...error, at: failedAt.toISOString() } }),
          everyMs: entry.job.everyMs,
          isOverdue: clock.now() > lateAt,
        } satisfies JobView;
      });
    },
  };
}
