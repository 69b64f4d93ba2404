import { availableParallelism } from 'node:os';
import { identityErrors } from '../errors.ts';
import { hashPassword, newDummyHash, normalisePassword, verifyPassword } from './password-hash.ts';

export interface PasswordQueue {
  /**
   * Lets work in that is going to hash, or refuses it with FH_BUSY while too much waits. To be asked before anything else is done
   * for the caller, so that a flood of sign-ins costs one comparison each and people who are signed in feel nothing.
   * `isKnown`: of somebody who is signed in, or from a browser that signed in before. Default false. Strangers leave a quarter of the places free for
   * those, so that whoever floods keeps out nobody but strangers (ASVS 6.1.1).
   */
  admit<T>(work: () => Promise<T>, isKnown?: boolean): Promise<T>;
  hash(normalised: string): Promise<string>;
  /** `phc` undefined: nobody's hash, at the same cost. A password that could be nobody's is compared as another one. */
  verify(
    password: string,
    phc: string | undefined,
    /** Goes before all strangers who wait. Default false. */
    isKnown?: boolean,
  ): Promise<{ matches: boolean; needsRehash: boolean }>;
}

export interface PasswordQueueOptions {
  /** Hashes computed at the same time, 19 MiB each. Default: the number of cores; with several workers give each its share. */
  readonly concurrency?: number;
  /** Callers let in at the same time, those that wait included. Default 64. */
  readonly maxAdmitted?: number;
}

const retryAfterSeconds = 3;

export function createPasswordQueue(options: PasswordQueueOptions = {}): PasswordQueue {
  const { concurrency = availableParallelism(), maxAdmitted = 64 } = options;
  const dummyHash = newDummyHash();
  const strangersAdmitted = Math.max(1, maxAdmitted - Math.ceil(maxAdmitted / 4));
  const waiting = { known: [] as (() => void)[], strangers: [] as (() => void)[] };
  let admitted = 0;
  let strangers = 0;
  let running = 0;

  async function inTurn<T>(work: () => Promise<T>, isKnown = false): Promise<T> {
    if (running < concurrency) running++;
    // Whoever ends hands its place on, so that nobody of the same kind overtakes.
    else await new Promise<void>((resolve) => waiting[isKnown ? 'known' : 'strangers'].push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.known.shift() ?? waiting.strangers.shift();
      if (next) next();
      else running--;
    }
  }

  return {
    async admit(work, isKnown = false) {
      if (admitted >= maxAdmitted || (!isKnown && strangers >= strangersAdmitted))
        throw identityErrors.FH_BUSY({ retryAfterSeconds });
      admitted++;
      if (!isKnown) strangers++;
      try {
        return await work();
      } finally {
        admitted--;
        if (!isKnown) strangers--;
      }
    },
    hash: (normalised) => inTurn(() => hashPassword(normalised)),
    async verify(password, phc, isKnown) {
      const normalised = normalisePassword(password);
      const { matches, needsRehash } = await inTurn(() => verifyPassword(normalised ?? '', phc ?? dummyHash), isKnown);
      return { matches: matches && normalised !== undefined && phc !== undefined, needsRehash };
    },
  };
}
