import type { TenantId } from '#src/kernel/index.ts';
import { isClosedForAMoment } from '#src/tenants/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';

export interface AdmittedOptions {
  readonly findRoute: (host: string) => Promise<TenantRoute | undefined>;
  /** The longest that a change of a tenant waits. Default 3,000. */
  readonly settleMs?: number;
}

/** Requests that this worker has let in and that are not over, by tenant, so that a change of a tenant can wait for them. */
export interface Admitted {
  /** @returns to be called when it is over, or when it turns out to be a stream, which may last for hours */
  enter(tenant: TenantRoute): () => void;
  /**
   * Resolves when those of a tenant that is closed for a moment are over: the answer of each may need its database more than once. At once for every other tenant, and
   * after the longest wait at the latest. What is under way then is interrupted by whoever closes the tenant's connections.
   */
  settle(tenantId: TenantId): Promise<void>;
}

interface Entry {
  readonly host: string;
  readonly waiting: Set<() => void>;
}

export function createAdmitted({ findRoute, settleMs = 3_000 }: AdmittedOptions): Admitted {
  const entries = new Map<TenantId, Set<Entry>>();

  const isWaitedFor = async (tenantId: TenantId, host: string): Promise<boolean> => {
    const route = await findRoute(host).catch(() => undefined);
    return route?.tenantId === tenantId && isClosedForAMoment(route.state);
  };

  return {
    enter({ tenantId, host }) {
      const entry: Entry = { host, waiting: new Set() };
      const ofTenant = entries.get(tenantId) ?? new Set();
      entries.set(tenantId, ofTenant.add(entry));
      return () => {
        if (!ofTenant.delete(entry)) return;
        if (ofTenant.size === 0 && entries.get(tenantId) === ofTenant) entries.delete(tenantId);
        for (const done of entry.waiting) done();
      };
    },

    async settle(tenantId) {
      const there = [...(entries.get(tenantId) ?? [])];
      const hosts = new Map<string, boolean>();
      for (const host of new Set(there.map((entry) => entry.host))) hosts.set(host, await isWaitedFor(tenantId, host));
      const awaited = there.filter((entry) => hosts.get(entry.host) && entries.get(tenantId)?.has(entry));
      if (awaited.length === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, settleMs);
      let left = awaited.length;
      const done = (): void => {
        if (--left === 0) resolve();
      };
      for (const entry of awaited) entry.waiting.add(done);
      await promise;
      clearTimeout(timer);
      for (const entry of awaited) entry.waiting.delete(done);
    },
  };
}
