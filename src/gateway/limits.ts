import { isIPv6 } from 'node:net';
import { type Clock, systemClock, type TenantId } from '#src/kernel/index.ts';
import { gatewayErrors } from './errors.ts';
import type { GatewayLimits } from './types.ts';

const windowMs = 10_000;

/** The means that keep one address or one tenant from taking everything. */
export interface LimitGuard {
  /** Throws FH_RATE_LIMITED. */
  countRequest(address: string | undefined, tenantId: TenantId): void;
  /** Throws FH_RATE_LIMITED. */
  countAddress(address: string | undefined): void;
  /**
   * A place among the requests that a tenant may have running; throws FH_TENANT_OVERLOADED. `stranger`: nobody is signed in, so the request
   * counts among the strangers of the tenant and of its address: whoever has no account cannot keep out those who have one.
   */
  takePlace(tenantId: TenantId, stranger?: { readonly address: string | undefined }): Place;
  running(tenantId: TenantId): number;
}

export interface Place {
  /** The request became an event stream, which has a count of its own; throws FH_TENANT_OVERLOADED. */
  becomeStream(): void;
  /** Once is enough, twice does no harm. */
  leave(): void;
}

export function createLimitGuard(limits: GatewayLimits, clock: Clock = systemClock): LimitGuard {
  const perAddress = createRateLimit(limits.requestsPerAddress, clock);
  const perTenant = createRateLimit(limits.requestsPerTenant, clock);
  const running = createCounter(limits.concurrentPerTenant);
  const strangers = createCounter(limits.strangersPerTenant);
  const strangersOfAddress = createCounter(limits.strangersPerAddress);
  const streams = createCounter(limits.streamsPerTenant);
  const streamsOfAddress = createCounter(limits.streamsPerAddress);
  const unlimited = new Set(limits.unlimitedAddresses.map(addressKey));
  const keyOf = createAddressKeys();
  const countAddress = (address: string | undefined) => {
    const key = keyOf(address);
    if (!unlimited.has(key)) perAddress(key);
  };

  return {
    countAddress,
    countRequest: (address, tenantId) => {
      countAddress(address);
      perTenant(tenantId);
    },
    takePlace: (tenantId, stranger) => {
      const address = stranger && addressKey(stranger.address);
      const perAddressKey = address !== undefined && !unlimited.has(address) ? `${tenantId} ${address}` : undefined;
      if (perAddressKey !== undefined) strangersOfAddress.enter(perAddressKey);
      let ofAddress = strangersOfAddress;
      let among: Counter | undefined = stranger ? strangers : running;
      try {
        among.enter(tenantId);
      } catch (error) {
        if (perAddressKey !== undefined) strangersOfAddress.leave(perAddressKey);
        throw error;
      }
      return {
        becomeStream: () => {
          if (among === undefined || among === streams) return;
          streams.enter(tenantId);
          if (perAddressKey !== undefined) {
            try {
              streamsOfAddress.enter(perAddressKey);
            } catch (error) {
              streams.leave(tenantId);
              throw error;
            }
            strangersOfAddress.leave(perAddressKey);
            ofAddress = streamsOfAddress;
          }
          among.leave(tenantId);
          among = streams;
        },
        leave: () => {
          if (among && perAddressKey !== undefined) ofAddress.leave(perAddressKey);
          among?.leave(tenantId);
          among = undefined;
        },
      };
    },
    running: (tenantId) => running.count(tenantId),
  };
}

interface Counter {
  enter(key: string): void;
  leave(key: string): void;
  count(key: string): number;
}

function createCounter(limit: number): Counter {
  const counts = new Map<string, number>();
  return {
    enter: (key) => {
      const now = counts.get(key) ?? 0;
      if (now >= limit) throw gatewayErrors.FH_TENANT_OVERLOADED({ retryAfterSeconds: 1 });
      counts.set(key, now + 1);
    },
    leave: (key) => {
      const left = counts.get(key)! - 1;
      if (left === 0) counts.delete(key);
      else counts.set(key, left);
    },
    count: (key) => counts.get(key) ?? 0,
  };
}

/** Counts per key within windows that are the same for all keys: nothing to be cleaned up one by one, no timer, no wait. 0: no limit. */
function createRateLimit(perSecond: number, clock: Clock): (key: string) => void {
  if (perSecond === 0) return () => {};
  const limit = (perSecond * windowMs) / 1_000;
  const counts = new Map<string, number>();
  let endsAtMs = 0;
  return (key) => {
    const nowMs = clock.monotonicMs();
    if (nowMs >= endsAtMs) {
      counts.clear();
      endsAtMs = nowMs + windowMs;
    }
    const count = (counts.get(key) ?? 0) + 1;
    if (count > limit)
      throw gatewayErrors.FH_RATE_LIMITED({ retryAfterSeconds: Math.max(1, Math.ceil((endsAtMs - nowMs) / 1_000)) });
    counts.set(key, count);
  };
}

/** `addressKey`, remembered for the addresses that come again and again. */
function createAddressKeys(): (address: string | undefined) => string {
  const keys = new Map<string | undefined, string>();
  return (address) => {
    let key = keys.get(address);
    if (key === undefined) {
      key = addressKey(address);
      if (keys.size >= 1_000) keys.clear();
      keys.set(address, key);
    }
    return key;
  };
}

/** IPv4 as it is, also when mapped into IPv6; IPv6 by its /64, because one subscriber has that many addresses. */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  if (!isIPv6(address)) return address;
  const [head, tail] = address.replace(/%.*$/, '').toLowerCase().split('::') as [string, string | undefined];
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...front, ...Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0'), ...back];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
