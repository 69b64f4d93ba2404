import { isIPv6 } from 'node:net';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { TenantId } from '#src/kernel/index.ts';
import { gatewayErrors } from './errors.ts';
import type { GatewayLimits } from './types.ts';

const windowSeconds = 10;

/** The means that keep one address or one tenant from taking everything. */
export interface LimitGuard {
  /** Throws FH_RATE_LIMITED. */
  countRequest(address: string | undefined, tenantId: TenantId | undefined): Promise<void>;
  /** A place among the requests that a tenant may have running; throws FH_TENANT_OVERLOADED. @returns gives it back, once */
  takePlace(tenantId: TenantId): () => void;
  running(tenantId: TenantId): number;
}

export function createLimitGuard(limits: GatewayLimits): LimitGuard {
  const perAddress = limiter(limits.requestsPerAddress);
  const perTenant = limiter(limits.requestsPerTenant);
  const running = new Map<TenantId, number>();

  return {
    countRequest: async (address, tenantId) => {
      if (perAddress) await count(perAddress, addressKey(address));
      if (perTenant && tenantId) await count(perTenant, tenantId);
    },
    takePlace: (tenantId) => {
      const now = running.get(tenantId) ?? 0;
      if (now >= limits.concurrentPerTenant) throw gatewayErrors.FH_TENANT_OVERLOADED({ retryAfterSeconds: 1 });
      running.set(tenantId, now + 1);
      let isTaken = true;
      return () => {
        if (!isTaken) return;
        isTaken = false;
        const left = running.get(tenantId)! - 1;
        if (left === 0) running.delete(tenantId);
        else running.set(tenantId, left);
      };
    },
    running: (tenantId) => running.get(tenantId) ?? 0,
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
