import type { Clock, TenantId } from '#src/kernel/index.ts';
import { gatewayErrors } from './errors.ts';
import { addressKey } from './limits.ts';

const windowMs = 60_000;
/**
 * A token that was refused is refused again without asking for this long. What is not good seldom becomes good (its user does what the account asks of
 * everybody first), and then it may wait that long; nobody is let in by it.
 */
const refusedForMs = 10_000;
const maxRemembered = 10_000;

/**
 * Keeps unknown API tokens from costing the database anything worth mentioning. Invariants: nobody is let in here, so what `lookUp` says counts for
 * every request anew; a token that was good a moment ago is never kept waiting by others of the same address; whatever is tried, an address costs
 * `failuresPerMinute` reads a minute and worker.
 */
export interface TokenGuard {
  /** `lookUp`, unless it would be in vain. Throws FH_TOKENS_LIMITED. */
  check<T>(
    presented: { readonly tenantId: TenantId; readonly tokenHash: Buffer; readonly address: string | undefined },
    lookUp: () => Promise<T | undefined>,
  ): Promise<T | undefined>;
}

export function createTokenGuard(
  { failuresPerMinute, unlimitedAddresses }: { failuresPerMinute: number; unlimitedAddresses: readonly string[] },
  clock: Clock,
): TokenGuard {
  const unlimited = new Set(unlimitedAddresses.map(addressKey));
  const good = new Set<string>();
  const refusedAtMs = new Map<string, number>();
  const underWay = new Map<string, Promise<boolean>>();
  const failures = new Map<string, number>();
  let windowEndsAtMs = 0;

  /** Counted before the answer is there, so that many at once cannot share one try. @returns takes it back */
  function countFailure(address: string | undefined): () => void {
    const key = addressKey(address);
    const nowMs = clock.monotonicMs();
    if (nowMs >= windowEndsAtMs) {
      failures.clear();
      windowEndsAtMs = nowMs + windowMs;
    }
    const count = failures.get(key) ?? 0;
    if (count >= failuresPerMinute && !unlimited.has(key))
      throw gatewayErrors.FH_TOKENS_LIMITED({
        retryAfterSeconds: Math.max(1, Math.ceil((windowEndsAtMs - nowMs) / 1_000)),
      });
    failures.set(key, count + 1);
    const endsAtMs = windowEndsAtMs;
    return () => {
      if (endsAtMs === windowEndsAtMs) failures.set(key, failures.get(key)! - 1);
    };
  }

  function note(name: string, isGood: boolean): void {
    good.delete(name);
    refusedAtMs.delete(name);
    if (isGood) {
      if (good.size >= maxRemembered) good.delete(good.values().next().value!);
      good.add(name);
    } else {
      if (refusedAtMs.size >= maxRemembered) refusedAtMs.delete(refusedAtMs.keys().next().value!);
      refusedAtMs.set(name, clock.monotonicMs());
    }
  }

  async function ask<T>(name: string, lookUp: () => Promise<T | undefined>): Promise<T | undefined> {
    const found = await lookUp();
    note(name, found !== undefined);
    return found;
  }

  return {
    async check({ tenantId, tokenHash, address }, lookUp) {
      const name = `${tenantId} ${tokenHash.toString('latin1')}`;
      const sinceMs = clock.monotonicMs() - (refusedAtMs.get(name) ?? Number.NEGATIVE_INFINITY);
      if (sinceMs < refusedForMs) return undefined;
      if (good.has(name)) return ask(name, lookUp);
      // The same unknown token many times at once is one question; when it is good, each of them asks for itself after all.
      const first = underWay.get(name);
      if (first) return (await first) ? ask(name, lookUp) : undefined;
      const takeBack = countFailure(address);
      const asking = ask(name, lookUp);
      const isGood = asking.then(
        (found) => found !== undefined,
        // It could not be asked; whoever waits asks for himself.
        () => true,
      );
      underWay.set(name, isGood);
      try {
        if (await isGood) takeBack();
      } finally {
        underWay.delete(name);
      }
      return asking;
    },
  };
}
