import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, failpoint, type Log } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { LetterBox } from './letter-box.ts';
import type { Deliver } from './smtp.ts';
import { claimDue, type MailRow, nextDueAt, recordProblem, recordSent, releaseClaims, setAside } from './sql.ts';
import type { Letter } from './types.ts';

/** Messages under way at the same time. */
const atOnce = 4;
/** Between two looks when nothing is known to be due: a tenant may have become active. */
const lookEveryMs = 15_000;
/** Longer than any attempt can last (smtp.ts ends each after two minutes). */
const claimLastsMs = 15 * 60_000;
const firstPauseMs = 60_000;
const longestPauseMs = 4 * 3_600_000;

/** Until the next attempt after the `attempts`th: 1, 2, 4 … minutes, at most four hours. */
export function pauseAfter(attempts: number): number {
  return Math.min(firstPauseMs * 2 ** Math.min(attempts - 1, 20), longestPauseMs);
}

export interface MailSender {
  /** Begins to send, first of all what a process that died had begun. */
  start(): void;
  /** Something is due. */
  wake(): void;
  /** Lets what is under way come to its end. */
  stop(): Promise<void>;
  /** Why the last attempt failed, as long as none has succeeded since; undefined: nothing is known to be wrong. */
  trouble(): string | undefined;
  /** One round, for tests: whatever is due now. @returns how many attempts were made */
  sendDue(): Promise<number>;
}

/**
 * Sends what is queued. Each attempt is claimed and counted before it begins and recorded after it; killed in between, the message is sent again under the
 * same Message-ID, by which mail servers and readers know it (outbox.test.ts kills at both places).
 */
export function createMailSender(deps: {
  readonly db: Queryable;
  readonly letters: LetterBox;
  readonly deliver: Deliver;
  readonly clock: Clock;
  readonly log: Log;
}): MailSender {
  const { db, letters, deliver, clock, log } = deps;
  const now = () => new Date(clock.now());
  const stopping = new AbortController();
  let woken = new AbortController();
  let loop: Promise<void> | undefined;
  let trouble: string | undefined;
  /** Attempts; none rejects. Each frees its place when it ends, so that a slow one holds up no other. */
  const underWay = new Set<Promise<void>>();

  async function attempt(row: MailRow): Promise<void> {
    let letter: Letter | undefined;
    try {
      letter = (await letters.open(row)) as Letter | undefined;
    } catch (error) {
      if ((error as { code?: string }).code !== 'FH_KEY_UNSEAL') throw error;
      log.error('a message does not open', { mailId: row.mailId, tenantId: row.tenantId, kind: row.kind });
      return recordProblem(db, row, 'It does not open: it was damaged, or moved to another row.', undefined);
    }
    if (!letter?.text) return recordProblem(db, row, 'Its text is gone.', undefined);
    await failpoint('mail.claimed');
    const delivery = await deliver(row.mailId, row.createdAt, letter);
    await failpoint('mail.sent');
    noteTrouble(delivery.outcome === 'later' ? delivery.problem : undefined);
    if (delivery.outcome === 'sent') {
      const { to, subject } = letter;
      return recordSent(db, row, now(), await letters.seal(row.tenantId, row.mailId, { to, subject }));
    }
    const nextAt = new Date(clock.now() + pauseAfter(row.attempts));
    const isOver = delivery.outcome === 'refused' || nextAt >= row.expiresAt;
    if (isOver) log.warn('a message could not be sent', { mailId: row.mailId, tenantId: row.tenantId, kind: row.kind });
    await recordProblem(db, row, delivery.problem, isOver ? undefined : nextAt);
  }

  /** Said once when it begins and once when it is over. */
  function noteTrouble(problem: string | undefined): void {
    const isNews = (problem === undefined) !== (trouble === undefined);
    trouble = problem;
    if (!isNews) return;
    if (problem !== undefined) log.warn('messages cannot be sent and are tried again', { problem });
    else log.info('messages are sent again');
  }

  /** Claims what is due for every place that is free and begins it. @returns how many */
  async function beginDue(): Promise<number> {
    const free = stopping.signal.aborted ? 0 : atOnce - underWay.size;
    const rows = free > 0 ? await claimDue(db, now(), free) : [];
    for (const row of rows) {
      const ended = attempt(row)
        .catch((error) => log.error('what became of a message was not recorded', { error }))
        .finally(() => {
          underWay.delete(ended);
          woken.abort();
        });
      underWay.add(ended);
    }
    return rows.length;
  }

  async function tidy(): Promise<void> {
    await setAside(db, now());
    await releaseClaims(db, new Date(clock.now() - claimLastsMs), now());
  }

  async function sendDue(): Promise<number> {
    await tidy();
    let count = 0;
    for (;;) {
      count += await beginDue();
      if (underWay.size === 0) return count;
      await Promise.race(underWay);
    }
  }

  async function run(): Promise<void> {
    let isReleased = false;
    let tidiedMs = Number.NEGATIVE_INFINITY;
    while (!stopping.signal.aborted) {
      woken = new AbortController();
      let pauseMs = lookEveryMs;
      try {
        // Nobody else sends: what is claimed was claimed by a process that is no more.
        if (!isReleased) await releaseClaims(db, undefined, now());
        isReleased = true;
        // Not after every message: it reads all that are waiting.
        if (clock.monotonicMs() - tidiedMs >= lookEveryMs) {
          await tidy();
          tidiedMs = clock.monotonicMs();
        }
        await beginDue();
        const dueAt = underWay.size < atOnce ? await nextDueAt(db, now()) : undefined;
        if (dueAt) pauseMs = Math.min(lookEveryMs, Math.max(dueAt.getTime() - clock.now(), 100));
      } catch (error) {
        log.warn('the outbox could not be read', { error });
      }
      const signal = AbortSignal.any([stopping.signal, woken.signal]);
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => {});
    }
    await Promise.all(underWay);
  }

  return {
    start() {
      loop ??= run();
    },
    wake: () => woken.abort(),
    async stop() {
      stopping.abort();
      await loop;
    },
    trouble: () => trouble,
    sendDue,
  };
}
