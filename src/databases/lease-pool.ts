import { setTimeout as delay } from 'node:timers/promises';
import type { CancelSignal, FreeholdError, TenantId } from '#src/kernel/index.ts';
import type { Connection } from '#src/postgres/index.ts';
import { describeOpening } from './conditions.ts';
import { databaseErrors } from './errors.ts';
import type {
  EvictPatience,
  LeasePool,
  LeasePoolOptions,
  OwnPlace,
  Place,
  Tenant,
  TenantRole,
  Waiter,
} from './places.ts';

/** Beyond this many waiters per place of a tenant, waiting would only end in a time-out. */
const waitersPerPlace = 50;
/** The server looks for a vanished client every 5 seconds (client_connection_check_interval); the place is kept until then. */
const cutGraceMs = 6_000;

/**
 * The tenants that wait are served in turn, each in the order of arrival, so a hundred requests of one do not hold up the first of another
 * (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996); a tenant at its own maximum lets the others pass. When the budget is used
 * up, the connection that was idle for longest is closed, and the waiter gets its place when the server has let it go.
 */
export function createLeasePool(options: LeasePoolOptions): LeasePool {
  const { budget, waitTimeoutMs, idleTimeoutMs, clock, log } = options;
  const perTenantMax = Math.min(options.perTenantMax, budget);
  const tenants = new Map<TenantId, Tenant>();
  /** In the order in which they became idle. */
  const idleOrder = new Set<OwnPlace>();
  const all = new Set<OwnPlace>();
  let queue: Waiter[] = [];
  const waitingByTenant = new Map<TenantId, { count: number; lastTurn: number }>();
  let servedTurn = 0;
  let leased = 0;
  let closing = 0;
  let stopping = false;

  const reaper = setInterval(() => {
    const limitMs = clock.monotonicMs() - idleTimeoutMs;
    for (const place of idleOrder) if (place.idleSinceMs < limitMs) close(place);
  }, 15_000);
  reaper.unref();

  function tenantOf(tenantId: TenantId): Tenant {
    let tenant = tenants.get(tenantId);
    if (!tenant) {
      tenant = { tenantId, places: new Set(), idle: { app: [], platform: [] } };
      tenants.set(tenantId, tenant);
    }
    return tenant;
  }

  function takeIdle(tenant: Tenant | undefined, role: TenantRole): OwnPlace | undefined {
    const place = tenant?.idle[role].pop();
    if (!place) return undefined;
    idleOrder.delete(place);
    place.state = 'leased';
    leased++;
    return place;
  }

  function acquire(tenantId: TenantId, role: TenantRole, signal: CancelSignal | undefined): Promise<Place> {
    if (stopping) return Promise.reject(databaseErrors.FH_DB_UNAVAILABLE({ detail: 'the process is stopping' }));
    // Idle connections are left only when nobody waits who could use them, so taking one overtakes nobody.
    const idle = takeIdle(tenants.get(tenantId), role);
    if (idle) return Promise.resolve(idle);
    const waitingHere = waitingByTenant.get(tenantId) ?? { count: 0, lastTurn: 0 };
    if (waitingHere.count >= perTenantMax * waitersPerPlace) return Promise.reject(busy());
    const turn = Math.max(servedTurn, waitingHere.lastTurn) + 1;
    waitingByTenant.set(tenantId, { count: waitingHere.count + 1, lastTurn: turn });
    return new Promise((resolve, reject) => {
      const settle = () => {
        if (!waiter.waiting) return;
        waiter.waiting = false;
        const { count, lastTurn } = waitingByTenant.get(tenantId)!;
        if (count > 1) waitingByTenant.set(tenantId, { count: count - 1, lastTurn });
        else waitingByTenant.delete(tenantId);
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        tenantId,
        role,
        turn,
        waiting: true,
        resolve: (place) => {
          settle();
          resolve(place);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const giveUp = (error: unknown) => {
        queue = queue.filter((other) => other !== waiter);
        waiter.reject(error);
      };
      const timer = setTimeout(() => giveUp(busy()), waitTimeoutMs);
      const onAbort = () => giveUp(databaseErrors.FH_DB_CANCELLED({ cause: signal?.reason }));
      signal?.addEventListener('abort', onAbort, { once: true });
      let position = queue.length;
      while (position > 0 && queue[position - 1]!.turn > turn) position--;
      queue.splice(position, 0, waiter);
      dispatch();
    });
  }

  /** Serves whom it can, in order. `promised` counts closing places that an earlier waiter will get. */
  function dispatch(): void {
    if (queue.length === 0) return;
    let promised = 0;
    const remaining: Waiter[] = [];
    for (const [index, waiter] of queue.entries()) {
      if (all.size >= budget && idleOrder.size === 0) {
        remaining.push(...queue.slice(index));
        break;
      }
      const tenant = tenantOf(waiter.tenantId);
      const idle = takeIdle(tenant, waiter.role);
      if (idle) {
        servedTurn = Math.max(servedTurn, waiter.turn);
        waiter.resolve(idle);
        continue;
      }
      if (tenant.places.size < perTenantMax && all.size < budget) {
        servedTurn = Math.max(servedTurn, waiter.turn);
        open(tenant, waiter);
        continue;
      }
      remaining.push(waiter);
      if (tenant.places.size >= perTenantMax) {
        // Its own idle connection has the other role; nobody else's would help.
        const own = tenant.idle.app[0] ?? tenant.idle.platform[0];
        if (own && !hasClosing(tenant)) close(own);
      } else if (promised++ >= closing) {
        const [oldest] = idleOrder;
        if (oldest) close(oldest);
      }
    }
    queue = remaining;
  }

  function hasClosing(tenant: Tenant): boolean {
    for (const place of tenant.places) if (place.state === 'closing') return true;
    return false;
  }

  function open(tenant: Tenant, waiter: Waiter): void {
    const { role } = waiter;
    const place: OwnPlace = {
      tenantId: tenant.tenantId,
      tenant,
      role,
      connection: undefined as unknown as Connection,
      beforeCommit: [],
      statementNames: new Set(),
      interrupt: undefined,
      state: 'opening',
      doomed: false,
      idleSinceMs: 0,
      gone: Promise.withResolvers(),
    };
    all.add(place);
    tenant.places.add(place);
    if (all.size > budget) throw new Error(`${all.size} connections exceed the budget of ${budget}`);
    options.open(tenant.tenantId, role).then(
      ({ connection, beforeCommit }) => {
        place.connection = connection;
        place.beforeCommit = beforeCommit;
        connection.onEnd(() => {
          if (place.state === 'closing') return;
          closing++;
          if (place.state === 'leased') leased--;
          removeIdle(place);
          place.state = 'closing';
          remove(place);
        });
        if (place.state !== 'opening') {
          waiter.reject(databaseErrors.FH_DB_UNAVAILABLE());
          return;
        }
        if (stopping) waiter.reject(databaseErrors.FH_DB_EVICTED());
        // Opened before a change: whoever waits for it gets one of afterwards, if there still is any.
        else if (place.doomed && waiter.waiting) queue.unshift(waiter);
        if (place.doomed || stopping) {
          close(place);
          return;
        }
        place.state = 'leased';
        leased++;
        if (waiter.waiting) waiter.resolve(place);
        else release(place, true);
      },
      (error) => {
        closing++;
        place.state = 'closing';
        waiter.reject(describeOpening(error));
        remove(place);
      },
    );
  }

  function release(released: Place, reusable: boolean): void {
    const place = released as OwnPlace;
    place.interrupt = undefined;
    if (place.state !== 'leased') return;
    if (!reusable || place.doomed || stopping) {
      close(place);
      return;
    }
    leased--;
    place.state = 'idle';
    place.idleSinceMs = clock.monotonicMs();
    place.tenant.idle[place.role].push(place);
    idleOrder.add(place);
    dispatch();
  }

  function removeIdle(place: OwnPlace): void {
    if (!idleOrder.delete(place)) return;
    const list = place.tenant.idle[place.role];
    list.splice(list.indexOf(place), 1);
  }

  function close(place: OwnPlace): void {
    if (place.state === 'leased') leased--;
    removeIdle(place);
    place.state = 'closing';
    closing++;
    place.connection.close().then(async (how) => {
      if (how === 'cut') {
        log.warn('a database connection had to be cut', { tenantId: place.tenantId });
        await delay(cutGraceMs);
      }
      remove(place);
    });
  }

  function remove(place: OwnPlace): void {
    const { tenant } = place;
    all.delete(place);
    closing--;
    tenant.places.delete(place);
    if (tenant.places.size === 0 && tenants.get(tenant.tenantId) === tenant) tenants.delete(tenant.tenantId);
    place.gone.resolve();
    dispatch();
  }

  async function evictTenant(tenant: Tenant, patience?: EvictPatience): Promise<void> {
    // From here on the tenant begins anew: whoever waits or comes asks the directory again.
    if (tenants.get(tenant.tenantId) === tenant) tenants.delete(tenant.tenantId);
    const places = [...tenant.places];
    for (const place of places) {
      place.doomed = true;
      if (place.state === 'idle') close(place);
    }
    const allGone = Promise.all(places.map((place) => place.gone.promise));
    if (patience && places.some(({ state }) => state === 'leased') && (await patience.isOpen(tenant.tenantId)))
      await withinTime(allGone, patience.settleMs);
    for (const place of places) if (place.state === 'leased') place.interrupt?.(databaseErrors.FH_DB_EVICTED());
    await allGone;
  }

  async function evictAll(): Promise<void> {
    await Promise.all([...new Set([...all].map((place) => place.tenant))].map((tenant) => evictTenant(tenant)));
  }

  async function retireAll(): Promise<void> {
    const idle = [...idleOrder];
    for (const place of all) if (place.state === 'leased') place.doomed = true;
    for (const place of idle) close(place);
    await Promise.all(idle.map((place) => place.gone.promise));
  }

  return {
    acquire,
    release,
    async evict(tenantId, patience) {
      const affected = [...all].filter((place) => place.tenantId === tenantId).map((place) => place.tenant);
      await Promise.all([...new Set(affected)].map((tenant) => evictTenant(tenant, patience)));
    },
    retireAll,
    stats: () => ({ open: all.size, leased, waiting: queue.length, budget }),
    async stop() {
      stopping = true;
      clearInterval(reaper);
      for (const waiter of queue.splice(0))
        waiter.reject(databaseErrors.FH_DB_UNAVAILABLE({ detail: 'the process is stopping' }));
      await evictAll();
    },
  };
}

/** Resolves with the work, or after so long. */
async function withinTime(work: Promise<unknown>, ms: number): Promise<void> {
  const limit = new AbortController();
  await Promise.race([work, delay(ms, undefined, { signal: limit.signal }).catch(() => undefined)]);
  limit.abort();
}

function busy(): FreeholdError {
  return databaseErrors.FH_DB_BUSY({ retryAfterSeconds: 1 });
}
