import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Log, TenantId } from '#src/kernel/index.ts';
import { isClosedForAMoment } from '#src/tenants/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { HostedRequest } from '../types.ts';

export interface UnderWayOptions {
  readonly identify: (request: FastifyRequest) => HostedRequest;
  readonly findRoute: (host: string) => Promise<TenantRoute | undefined>;
  /** How often it is asked whether whoever opened a stream is still signed in, while something passes on it. Default 5,000. */
  readonly recheckMs?: number;
  readonly log: Log;
}

/** One request that was passed on, until its answer is over. */
export interface Entry {
  /** It may last for hours: counted as a stream, and ended in this way at drain. Throws FH_TENANT_OVERLOADED. */
  becomeStream(end: () => void): void;
  /** Something passed. */
  touch(): void;
}

/** Requests at apps, all of this worker's. Keyed by tenant id: one tenant's end touches no other's. */
export interface UnderWay {
  /** @param end its tenant is not open any more, or its user is not signed in any more */
  begin(request: FastifyRequest, reply: FastifyReply, end: () => void): Entry;
  /** Ends those of a tenant's whose host does not lead to the same app of the same open tenant any more. */
  recheck(tenantId: TenantId): Promise<void>;
  /** Ends streams; what else is under way may finish. */
  endStreams(): void;
}

/** What is silent, and answers that last although they are no streams, are checked in every so many rounds only. */
const quietRounds = 6;

interface Kept {
  readonly request: FastifyRequest;
  end: () => void;
  isStream: boolean;
  isTouched: boolean;
  rounds: number;
}

export function createUnderWay({ identify, findRoute, recheckMs = 5_000, log }: UnderWayOptions): UnderWay {
  const entries = new Map<TenantId, Set<Kept>>();
  let timer: NodeJS.Timeout | undefined;

  const check = async (kept: Kept): Promise<void> => {
    const isDue = ++kept.rounds % quietRounds === 0 || (kept.isStream && kept.isTouched);
    if (!isDue) return;
    kept.isTouched = false;
    const { request } = kept;
    const isGood = await identify(request)
      .isStillSignedIn()
      .catch((error: unknown) => {
        log.warn('a stream was ended', { tenantId: request.tenant.tenantId, requestId: request.id, error });
        return false;
      });
    if (!isGood) kept.end();
  };

  const checkAll = () => {
    // Who did not need to be anybody at the start need not be now.
    for (const ofTenant of entries.values())
      for (const kept of ofTenant) if (kept.request.session || kept.request.apiToken) void check(kept);
  };

  return {
    begin: (request, reply, end) => {
      const { tenantId } = request.tenant;
      const kept: Kept = { request, end, isStream: false, isTouched: false, rounds: 0 };
      const ofTenant = entries.get(tenantId) ?? new Set();
      entries.set(tenantId, ofTenant.add(kept));
      timer ??= setInterval(checkAll, recheckMs).unref();
      reply.raw.once('close', () => {
        ofTenant.delete(kept);
        if (ofTenant.size === 0 && entries.get(tenantId) === ofTenant) entries.delete(tenantId);
        if (entries.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      });
      return {
        becomeStream: (endStream) => {
          request.onStreaming?.();
          kept.isStream = true;
          kept.end = endStream;
        },
        touch: () => {
          kept.isTouched = true;
        },
      };
    },
    recheck: async (tenantId) => {
      const ofTenant = [...(entries.get(tenantId) ?? [])];
      const hosts = new Map(ofTenant.map(({ request: { tenant } }) => [tenant.host, tenant]));
      for (const [host, before] of hosts) {
        // Who cannot be asked about is not open.
        const route = await findRoute(host).catch(() => undefined);
        if (route && isSameDoor(before, route)) continue;
        for (const { request, end } of ofTenant) if (request.tenant.host === host) end();
      }
    },
    endStreams: () => {
      for (const ofTenant of [...entries.values()]) for (const kept of [...ofTenant]) if (kept.isStream) kept.end();
    },
  };
}

/** Another version may be served, or the tenant be closed for a moment: it is the keeper who lets requests of the old one come to their end. */
function isSameDoor(before: TenantRoute, now: TenantRoute): boolean {
  const isOpen = now.state === 'active' || isClosedForAMoment(now.state);
  return isOpen && now.tenantId === before.tenantId && now.app === before.app && now.process !== undefined;
}
