import { isIPv6 } from 'node:net';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { TenantId } from '#src/kernel/index.ts';
import { gatewayErrors } from './errors.ts';
import type { GatewayLimits } from './types.ts';

const windowSeconds = 10;

/** The means that keep one address or one tenant from taking everything. */
export interface LimitGuard {
  /** Throws FH_RATE_LIMITED. */
  countRequest(address: string | undefined, tenantId: TenantId): Promise<void>;
  /** Throws FH_RATE_LIMITED. */
  countAddress(address: string | undefined): Promise<void>;
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

export function createLimitGuard(limits: GatewayLimits): LimitGuard {
  const perAddress = limiter(limits.requestsPerAddress);
  const perTenant = limiter(limits.requestsPerTenant);
  const running = createCounter(limits.concurrentPerTenant);
  const strangers = createCounter(limits.strangersPerTenant);
  const strangersOfAddress = createCounter(limits.strangersPerAddress);
  const streams = createCounter(limits.streamsPerTenant);
  const unlimited = new Set(limits.unlimitedAddresses.map(addressKey));
  const countAddress = async (address: string | undefined) => {
    if (!perAddress) return;
    const key = addressKey(address);
    if (!unlimited.has(key)) await count(perAddress, key);
  };

  return {
    countAddress,
    countRequest: async (address, tenantId) => {
      await countAddress(address);
      if (perTenant) await count(perTenant, tenantId);
    },
    takePlace: (tenantId, stranger) => {
      const address = stranger && addressKey(stranger.address);
      const perAddressKey = address !== undefined && !unlimited.has(address) ? `${tenantId} ${address}` : undefined;
      if (perAddressKey !== undefined) strangersOfAddress.enter(perAddressKey);
      let among: Counter | undefined = stranger ? strangers : running;
      try {
        among.enter(tenantId);
      } catch (error) {
        if (perAddressKey !== undefined) strangersOfAddress.leave(perAddressKey);
        throw error;
      }
      return {
        becomeStream: () => {
          if (among !== running) return;
          streams.enter(tenantId);
          running.leave(tenantId);
          among = streams;
        },
        leave: () => {
          if (among && perAddressKey !== undefined) strangersOfAddress.leave(perAddressKey);
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

function limiter(perSecond: number): RateLimiterMemory | undefined {
  if (perSecond === 0) return undefined;
  return new RateLimiterMemory({ points: perSecond * windowSeconds, duration: windowSeconds });
}

async function count(of: RateLimiterMemory, key: string): Promise<void> {
  try {
    await of.consume(key);
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
    throw gatewayErrors.FH_RATE_LIMITED({ retryAfterSeconds: Math.ceil(error.msBeforeNext / 1_000) });
  }
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
