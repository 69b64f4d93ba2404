import type { DumpVerification, KnownDump } from './types.ts';

const dayMs = 24 * 60 * 60_000;

/** A dump that is to be verified, and from which region alone. */
export interface ChosenVerification {
  readonly dump: KnownDump;
  readonly region: string;
}

/**
 * Which dumps are still to be verified, oldest first: every one of the last seven days and the newest of each tenant, from the region that the tenant's last verification
 * did not use, as long as it is there. One that failed is tried once more from each other region: that tells a damaged copy from a bad dump.
 * @param regions those that there are; what lies in another one cannot be read
 */
export function chooseVerifications(
  dumps: readonly KnownDump[],
  verifications: readonly DumpVerification[],
  now: number,
  regions: readonly string[],
): ChosenVerification[] {
  const chosen: ChosenVerification[] = [];
  for (const [tenantId, own] of Map.groupBy(within(dumps, regions), (dump) => dump.tenantId)) {
    const done = verifications
      .filter((each) => each.tenantId === tenantId)
      .toSorted((one, other) => one.finishedAt.getTime() - other.finishedAt.getTime());
    let last = done.at(-1)?.region;
    const oldestFirst = own.toSorted((one, other) => one.madeAt.getTime() - other.madeAt.getTime());
    for (const dump of oldestFirst) {
      if (dump !== oldestFirst.at(-1) && dump.madeAt.getTime() < now - 7 * dayMs) continue;
      const ofDump = done.filter(({ dumpId }) => dumpId === dump.dumpId);
      if (ofDump.some(({ passed }) => passed)) continue;
      const untried = dump.regions.filter((region) => !ofDump.some((each) => each.region === region));
      const region = untried.find((each) => each !== last) ?? untried[0];
      if (!region) continue;
      chosen.push({ dump, region });
      last = region;
    }
  }
  return chosen;
}

/**
 * What is known of a dump: of each region that holds it, the newest verification counts, and one that failed before all others, for what another region gives
 * back says nothing about this one. undefined: none yet.
 * @param ofDump its own verifications
 */
export function judgeDump(
  { regions }: Pick<KnownDump, 'regions'>,
  ofDump: readonly DumpVerification[] = [],
): DumpVerification | undefined {
  const newestFirst = ofDump.toSorted((one, other) => other.finishedAt.getTime() - one.finishedAt.getTime());
  const newest = regions.flatMap((region) => newestFirst.find((each) => each.region === region) ?? []);
  return newest.find(({ passed }) => !passed) ?? newestFirst.find((each) => newest.includes(each));
}

/** The newest dump of each tenant, where a region holds it in a state that was found unsound: a new dump is needed. */
export function findUnsound(
  dumps: readonly KnownDump[],
  verifications: readonly DumpVerification[],
  regions: readonly string[],
): DumpVerification[] {
  const byDump = Map.groupBy(verifications, ({ dumpId }) => dumpId);
  const byTenant = Map.groupBy(within(dumps, regions), ({ tenantId }) => tenantId);
  return [...byTenant.values()].flatMap((own) => {
    const [newest] = own.toSorted((one, other) => other.madeAt.getTime() - one.madeAt.getTime());
    const judgement = judgeDump(newest!, byDump.get(newest!.dumpId));
    return judgement && !judgement.passed ? [judgement] : [];
  });
}

function within(dumps: readonly KnownDump[], regions: readonly string[]): KnownDump[] {
  return dumps
    .map((dump) => ({ ...dump, regions: dump.regions.filter((region) => regions.includes(region)) }))
    .filter((dump) => dump.regions.length > 0);
}

/** Whether a tenant is to be dumped now: every night, at once when there is none, and when a night was missed. `hour` is of the day, UTC. */
export function isDumpDue(lastAt: Date | undefined, now: number, hour: number): boolean {
  const ageMs = lastAt === undefined ? Number.POSITIVE_INFINITY : now - lastAt.getTime();
  // A clock that was set back proves nothing about when it was.
  if (ageMs < 0) return true;
  return ageMs >= 26 * 60 * 60_000 || (ageMs >= 12 * 60 * 60_000 && hour >= 1 && hour < 5);
}

/** Longest that an unchanged database goes without a new dump. */
export const longestUnchangedMs = 7 * dayMs;
