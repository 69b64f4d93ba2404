import { Worker } from 'node:worker_threads';
import type { Log } from '#src/kernel/index.ts';
import type { Outcome, Task } from './judge.ts';
import type { RefusalCode } from './refusals.ts';
import { refusalOf } from './refused.ts';

export interface JudgingOptions {
  readonly log: Log;
  /** Threads at most; default 1. One judges some hundred messages a second. */
  readonly workers?: number;
  /** Processor time that one message may take, milliseconds; default 500. A genuine one takes about 5. */
  readonly limitMs?: number;
  /** Messages that wait at most; what comes then is `unavailable`. Default 256. */
  readonly waiting?: number;
  /** Of them, messages of one sender. Default 64. */
  readonly waitingOfOne?: number;
  /** The file that a worker runs; for tests of what happens when one hangs or dies. */
  readonly program?: URL;
}

export interface Judging {
  /** @param from whose message it is, a tenant: those of one wait for each other, and for one at a time of everybody else */
  judge(task: Task, from?: string): Promise<Outcome>;
  stop(): Promise<void>;
}

interface Job {
  readonly task: Task;
  readonly settle: (outcome: Outcome) => void;
}

interface Seat {
  worker: Worker | undefined;
  job: Job | undefined;
  timers: NodeJS.Timeout[];
  /** Processor time of the worker when it was last done, milliseconds. */
  usedMs: number;
}

/** What a worker says: once that it is there, then one outcome for each task. */
export interface WorkerMessage {
  readonly outcome?: Outcome;
  readonly usedMs: number;
}

/** Wall time in processor times: only a machine that hands out no time at all makes a message wait this long. */
const wallFactor = 40;
/** A worker that has not started by then never will. */
const startLimitMs = 60_000;
/** Bytes of the heap of a worker; the largest message that passes the limits needs some twenty million. */
const heap = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };

/**
 * Keeps worker threads and gives each one message at a time. One that uses more than its processor time is ended and replaced: it is
 * processor time and not wall time that counts, so that a busy machine refuses nobody. A worker is started when it is first needed.
 */
export function startJudging({
  log,
  workers = 1,
  limitMs = 500,
  waiting = 256,
  waitingOfOne = 64,
  program = new URL('./worker.ts', import.meta.url),
}: JudgingOptions): Judging {
  /** By sender, in the order of their turns. None is empty. */
  const queues = new Map<string, Job[]>();
  let queued = 0;
  const seats: Seat[] = Array.from({ length: workers }, () => ({
    worker: undefined,
    job: undefined,
    timers: [],
    usedMs: 0,
  }));
  let isStopped = false;

  function next(): void {
    for (const seat of seats) {
      const job = seat.job ? undefined : takeNext();
      if (!job) continue;
      seat.job = job;
      if (seat.worker) hand(seat, seat.worker);
      else start(seat);
    }
  }

  /** The oldest message of the sender whose turn it is; who has more comes again after all others. */
  function takeNext(): Job | undefined {
    const [turn] = queues;
    if (!turn) return undefined;
    const [from, jobs] = turn;
    queues.delete(from);
    const [job, ...others] = jobs;
    if (others.length > 0) queues.set(from, others);
    queued--;
    return job;
  }

  function start(seat: Seat): void {
    const worker = new Worker(program, { env: {}, stdin: false, resourceLimits: heap, name: 'saml' });
    seat.worker = worker;
    arm(seat, startLimitMs, () => end(seat, worker, 'unavailable'));
    worker.on('message', ({ outcome, usedMs }: WorkerMessage) => {
      if (seat.worker !== worker) return;
      disarm(seat);
      seat.usedMs = usedMs;
      if (outcome) settle(seat, outcome);
      else hand(seat, worker);
    });
    // Out of memory counts as too much; the text of the error may hold pieces of the message and is not logged.
    worker.on('error', (error) => end(seat, worker, isOutOfMemory(error) ? 'overran' : 'unavailable'));
    worker.on('exit', () => end(seat, worker, 'unavailable'));
  }

  function hand(seat: Seat, worker: Worker): void {
    if (!seat.job) {
      worker.unref();
      return;
    }
    worker.ref();
    worker.postMessage(seat.job.task);
    arm(seat, limitMs * wallFactor, () => end(seat, worker, 'overran'));
    watch(seat, worker, limitMs);
  }

  /** Looks at the processor time when the limit could have been reached, and again when it could have been reached after all. */
  function watch(seat: Seat, worker: Worker, afterMs: number): void {
    const job = seat.job;
    arm(seat, afterMs, async () => {
      const now = await usedMs(worker);
      if (seat.worker !== worker || seat.job !== job) return;
      const used = now === undefined ? 0 : now - seat.usedMs;
      if (used >= limitMs) end(seat, worker, 'overran');
      else watch(seat, worker, Math.max(limitMs - used, 20));
    });
  }

  function settle(seat: Seat, outcome: Outcome): void {
    disarm(seat);
    const job = seat.job;
    seat.job = undefined;
    job?.settle(outcome);
    seat.worker?.unref();
    next();
  }

  /** Takes a worker out of its seat, for good. Whatever it still says is not heard. */
  function end(seat: Seat, worker: Worker, code: RefusalCode): void {
    if (seat.worker !== worker) return;
    seat.worker = undefined;
    if (!isStopped) log.warn('a worker for single sign-on messages ended', { reason: code });
    void worker.terminate();
    settle(seat, refusalOf(code));
  }

  return {
    judge(task, from = '') {
      const jobs = queues.get(from) ?? [];
      if (isStopped || queued >= waiting || jobs.length >= waitingOfOne)
        return Promise.resolve(refusalOf('unavailable'));
      return new Promise((resolve) => {
        jobs.push({ task, settle: resolve });
        queues.set(from, jobs);
        queued++;
        next();
      });
    },
    async stop() {
      isStopped = true;
      for (let job = takeNext(); job; job = takeNext()) job.settle(refusalOf('unavailable'));
      await Promise.all(
        seats.map(async (seat) => {
          const worker = seat.worker;
          if (!worker) return;
          end(seat, worker, 'unavailable');
          await worker.terminate();
        }),
      );
    },
  };
}

function arm(seat: Seat, afterMs: number, act: () => void | Promise<void>): void {
  seat.timers.push(setTimeout(() => void act(), afterMs));
}

function disarm(seat: Seat): void {
  for (const timer of seat.timers.splice(0)) clearTimeout(timer);
}

const isOutOfMemory = (error: unknown) => (error as { code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY';

/** Processor time of the thread so far; undefined where it does not say (it is ending, or hangs where it cannot be interrupted). */
async function usedMs(worker: Worker): Promise<number | undefined> {
  try {
    const { user, system } = await worker.cpuUsage();
    return (user + system) / 1_000;
  } catch {
    return undefined;
  }
}
