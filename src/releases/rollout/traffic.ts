import type { TenantId } from '#src/kernel/index.ts';

/** Of requests to one version at one tenant. `buckets[i]`: of a sample, answers that took up to 2^(i/2) ms. */
export interface TrafficCounts {
  readonly requests: number;
  readonly errors: number;
  readonly buckets: readonly number[];
}

/** From one gateway. */
export interface TrafficReport {
  readonly tenantId: TenantId;
  readonly version: string;
  readonly requests: number;
  readonly errors: number;
  /** Of a sample of them. */
  readonly durationsMs: readonly number[];
}

export const bucketCount = 40;

export function bucketOf(durationMs: number): number {
  return Math.min(bucketCount - 1, Math.max(0, Math.ceil(2 * Math.log2(Math.max(1, durationMs)))));
}

/** Upper end of the bucket, in ms. */
export function quantile({ buckets }: Pick<TrafficCounts, 'buckets'>, share: number): number {
  let seen = 0;
  const wanted = share * buckets.reduce((total, count) => total + count, 0);
  for (const [index, count] of buckets.entries()) {
    seen += count;
    if (seen >= wanted) return 2 ** (index / 2);
  }
  return 2 ** (bucketCount / 2);
}

/** Fewer say nothing. */
const enoughErrors = 5;
const enoughRequests = 20;
/** More than so many of its requests, and than twice as many as before. */
const errorShare = 0.05;
/** Buckets are a factor of 1.4 wide, so this is at least twice as slow, and never what nobody would feel. */
const slowFactor = 2.8;
const slowMs = 100;

/** Why a tenant's users are worse off than with the version before; undefined: they are not, or too few came to tell. */
export function complaintOf(now: TrafficCounts | undefined, before: TrafficCounts | undefined): string | undefined {
  if (!now) return undefined;
  const { requests, errors } = now;
  const usual = before && before.requests >= enoughRequests ? before.errors / before.requests : 0;
  if (errors >= enoughErrors && errors / requests > Math.max(errorShare, 2 * usual))
    return `${errors} of ${requests} requests failed`;
  if (!before || requests < enoughRequests || before.requests < enoughRequests) return undefined;
  const [p95, usualMs] = [quantile(now, 0.95), quantile(before, 0.95)];
  if (p95 > slowFactor * usualMs && p95 - usualMs > slowMs)
    return `95 % of its answers come within ${Math.round(p95)} ms, and came within ${Math.round(usualMs)} ms`;
  return undefined;
}

/** What gateways have told since this process began, of the version that each tenant runs and the one before. */
export interface TrafficBook {
  add(report: TrafficReport): void;
  of(tenantId: TenantId, version: string): TrafficCounts | undefined;
}

export function createTrafficBook(maxTenants = 20_000): TrafficBook {
  const books = new Map<TenantId, Map<string, TrafficCounts>>();
  return {
    add({ tenantId, version, requests, errors, durationsMs }) {
      const buckets = new Array<number>(bucketCount).fill(0);
      for (const durationMs of durationsMs) buckets[bucketOf(durationMs)]!++;
      const counts = { requests, errors, buckets };
      const book = books.get(tenantId) ?? new Map<string, TrafficCounts>();
      books.delete(tenantId);
      books.set(tenantId, book);
      if (books.size > maxTenants) books.delete(books.keys().next().value!);
      const known = book.get(version);
      book.set(version, known ? sum(known, counts) : counts);
      // The one that it runs and the one before; a version that comes again begins anew.
      for (const old of [...book.keys()].slice(0, -2)) book.delete(old);
    },
    of: (tenantId, version) => books.get(tenantId)?.get(version),
  };
}

function sum(one: TrafficCounts, other: TrafficCounts): TrafficCounts {
  return {
    requests: one.requests + other.requests,
    errors: one.errors + other.errors,
    buckets: Array.from({ length: bucketCount }, (_, at) => (one.buckets[at] ?? 0) + (other.buckets[at] ?? 0)),
  };
}
