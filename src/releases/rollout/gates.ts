import type { Release, ReleaseTenantState, Ring } from './types.ts';

type Counts = Readonly<Partial<Record<ReleaseTenantState, number>>>;

/** Why a release must not go on in this ring; undefined: it may. @param isEnd nobody of the ring is waiting any more */
export function refusalOf({ settings, counts }: Release, ring: Ring, isEnd: boolean): string | undefined {
  const { failed = 0, done = 0, returning = 0 }: Counts = counts[ring];
  const tried = failed + done + returning;
  if (failed === 0 || failed * 100 <= settings.maxFailedPercent * tried) return undefined;
  // In a small ring one is a lot, and may still be one tenant's own fault; the whole ring says.
  if (!isEnd && failed < settings.minFailed) return undefined;
  return `${failed} of ${tried} ${tried === 1 ? 'tenant' : 'tenants'} failed in ${ring}, more than ${settings.maxFailedPercent} %`;
}
