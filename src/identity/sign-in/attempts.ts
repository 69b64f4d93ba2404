import { createHash } from 'node:crypto';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import {
  type AttemptTable,
  block,
  countFailures,
  forgetFailures,
  lockCounters,
  pruneFailures,
  uncountFailures,
} from './attempts-sql.ts';

/** One way of counting wrong passwords. */
export interface AttemptLimit {
  readonly scope: string;
  /** Wrong passwords without any delay. */
  readonly free: number;
  /** Each further one doubles the wait, from one second to this. */
  readonly maxDelaySeconds: number;
  /** The free ones are given anew after this. */
  readonly windowSeconds: number;
  /** Wrong ones without a right one between, after which no password is right any more. Undefined: no such end. */
  readonly maxConsecutive?: number;
  /** What a right password does: `forget` the counter, or only not count itself (where many people share the counter). */
  readonly onSuccess: 'forget' | 'uncount';
}

/** A limit and whom it counts. Only a SHA-256 of the subject is stored. */
export interface Attempt {
  readonly limit: AttemptLimit;
  readonly subject: string;
}

/** NIST SP 800-63B-4, 3.2.2: at most 100 consecutive failures per account: 50 by strangers, 10 by each browser that signed in before. */
const strangersPerAccount = 50;
const triesPerKnownDevice = 10;
export const maxKnownDevices = 5;

/**
 * What limits a stranger's attempt. A known device is limited by its own counter alone, so that nobody can lock a user out of a
 * browser that the user signed in with before, however many wrong passwords come from elsewhere (ASVS 6.1.1).
 */
export const attemptLimits = {
  accountFromRange: { scope: 'account-range', free: 5, maxDelaySeconds: 900, windowSeconds: 3600, onSuccess: 'forget' },
  account: {
    scope: 'account',
    free: 10,
    maxDelaySeconds: 900,
    windowSeconds: 86_400,
    maxConsecutive: strangersPerAccount,
    onSuccess: 'forget',
  },
  range: { scope: 'range', free: 30, maxDelaySeconds: 900, windowSeconds: 3600, onSuccess: 'uncount' },
  everyone: { scope: 'everyone', free: 300, maxDelaySeconds: 5, windowSeconds: 3600, onSuccess: 'uncount' },
  knownDevice: {
    scope: 'device',
    free: 5,
    maxDelaySeconds: 60,
    windowSeconds: 3600,
    maxConsecutive: triesPerKnownDevice,
    onSuccess: 'forget',
  },
  /** Codes, after the right password; nobody without it counts here. */
  secondFactor: {
    scope: 'second-factor',
    free: 5,
    maxDelaySeconds: 900,
    windowSeconds: 86_400,
    maxConsecutive: strangersPerAccount,
    onSuccess: 'forget',
  },
  /** In a browser that signed in before: whoever has learned the password elsewhere does not keep the user out here. */
  secondFactorOnDevice: {
    scope: 'second-factor-device',
    free: 5,
    maxDelaySeconds: 60,
    windowSeconds: 3600,
    maxConsecutive: triesPerKnownDevice,
    onSuccess: 'forget',
  },
  /** One sign-in that waits for its code. */
  challenge: {
    scope: 'challenge',
    free: 5,
    maxDelaySeconds: 1,
    windowSeconds: 600,
    maxConsecutive: 5,
    onSuccess: 'forget',
  },
  /** Passkeys that sign nobody in. There is nothing to guess; it keeps the log and the processor free. */
  passkeyFromRange: {
    scope: 'passkey-range',
    free: 30,
    maxDelaySeconds: 900,
    windowSeconds: 3600,
    onSuccess: 'uncount',
  },
  /** From a browser that signed in before. */
  passkeyOnDevice: { scope: 'passkey-device', free: 10, maxDelaySeconds: 60, windowSeconds: 3600, onSuccess: 'forget' },
  /** What is being set up: the first code of an app, the first answer of a passkey. */
  firstCode: { scope: 'first-code', free: 10, maxDelaySeconds: 300, windowSeconds: 3600, onSuccess: 'forget' },
  currentPassword: {
    scope: 'current-password',
    free: 5,
    maxDelaySeconds: 900,
    windowSeconds: 3600,
    onSuccess: 'forget',
  },
} as const satisfies Record<string, AttemptLimit>;

export interface AttemptLimiter {
  /**
   * Counts the attempt as failed before the password is looked at, so that attempts side by side cannot share one free try.
   * Throws FH_SIGN_IN_THROTTLED (and counts nothing, if the caller rolls back) while one of the counters is blocked.
   * Must run in a transaction. `locked`: a counter has reached its end, the password must not be accepted.
   * `reached`: scopes whose free tries have just been used up, for the security log.
   */
  begin(db: Queryable, attempts: readonly Attempt[]): Promise<{ locked: boolean; reached: readonly string[] }>;
  succeed(db: Queryable, attempts: readonly Attempt[]): Promise<void>;
  /** Forgets an account's counters, when an administrator lets its user in again. */
  forget(db: Queryable, attempts: readonly Attempt[]): Promise<void>;
}

export function createAttemptLimiter(table: AttemptTable): AttemptLimiter {
  return {
    async begin(db, attempts) {
      const counters = attempts.map(toCounter);
      const limitOf = new Map(
        counters.map(({ scope, subject }, index) => [`${scope} ${subject}`, attempts[index]!.limit]),
      );
      const rows = await countFailures(db, table, counters);
      const blockedSeconds = Math.max(...rows.map((row) => row.blocked_seconds ?? 0));
      if (blockedSeconds > 0)
        throw identityErrors.FH_SIGN_IN_THROTTLED({ retryAfterSeconds: Math.ceil(blockedSeconds) });

      const judged = rows.map((row) => ({ ...row, limit: limitOf.get(`${row.scope} ${row.subject}`)! }));
      const over = judged.filter(({ failures, limit }) => failures > limit.free);
      if (over.length > 0) {
        const blocks = over.map(({ scope, subject, failures, limit }) => ({
          scope,
          subject,
          seconds: Math.min(2 ** Math.min(failures - limit.free - 1, 20), limit.maxDelaySeconds),
        }));
        await block(db, table, blocks);
        await pruneFailures(db, table);
      }
      return {
        locked: judged.some(
          ({ consecutive, limit }) => consecutive > (limit.maxConsecutive ?? Number.POSITIVE_INFINITY),
        ),
        reached: over.filter(({ failures, limit }) => failures === limit.free + 1).map(({ scope }) => scope),
      };
    },

    async succeed(db, attempts) {
      const counters = attempts.map(toCounter);
      const locked = await lockCounters(db, table, counters);
      const isLocked = (counter: { scope: string; subject: string }) =>
        locked.some(({ scope, subject }) => scope === counter.scope && subject === counter.subject);
      const ending = (onSuccess: AttemptLimit['onSuccess']) =>
        counters.filter((counter, index) => attempts[index]!.limit.onSuccess === onSuccess && isLocked(counter));
      await forgetFailures(db, table, ending('forget'));
      await uncountFailures(db, table, ending('uncount'));
    },

    async forget(db, attempts) {
      const counters = attempts.map(toCounter);
      await forgetFailures(db, table, await lockCounters(db, table, counters));
    },
  };
}

function toCounter({ limit, subject }: Attempt) {
  return {
    scope: limit.scope,
    subject: createHash('sha256').update(subject).digest('hex'),
    windowSeconds: limit.windowSeconds,
  };
}
