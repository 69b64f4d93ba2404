import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AppEvent } from '#sdk';
import { openEventStream } from '#src/http/index.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { HostedRequest } from './types.ts';

/** A session that was good this recently is not asked about again before sending. */
const recheckAfterMs = 1_000;
/** Events that wait for the check of one stream; a client that far behind starts anew. */
const maxWaiting = 1_000;

/** The listeners of this worker. Keyed by tenant id: an event finds the listeners of its own tenant and no others. */
export interface EventHub {
  /** Answers with a stream of the tenant's events until either side ends it. */
  listen(request: FastifyRequest, reply: FastifyReply, from: HostedRequest): Promise<void>;
  deliver(tenantId: TenantId, event: AppEvent): void;
  /** Ends the streams of one tenant, or all. */
  close(tenantId?: TenantId): Promise<void>;
}

interface Listener {
  receive(event: AppEvent): void;
  end(): Promise<void>;
}

export function createEventHub({ clock, log }: { clock: Clock; log: Log }): EventHub {
  const listeners = new Map<TenantId, Set<Listener>>();

  return {
    async listen(request, reply, from) {
      const { tenantId } = from.tenant;
      const stream = openEventStream(request, reply, { signal: from.signal });
      let waiting: AppEvent[] = [];
      let isSending = false;
      let checkedAtMs = clock.monotonicMs();

      /** Signed out, disabled, or the tenant closed since the stream began: nothing more is told. */
      async function mayListen(): Promise<boolean> {
        if (clock.monotonicMs() - checkedAtMs < recheckAfterMs) return true;
        const isGood = await from.isStillSignedIn();
        checkedAtMs = clock.monotonicMs();
        return isGood;
      }
      async function send(): Promise<void> {
        isSending = true;
        try {
          while (waiting.length > 0) {
            if (!(await mayListen())) return stream.close();
            const events = waiting;
            waiting = [];
            for (const event of events) stream.send(event);
          }
        } catch (error) {
          log.warn('an event stream was ended', { tenantId, requestId: from.requestId, error });
          stream.close();
        } finally {
          isSending = false;
        }
      }
      const listener: Listener = {
        receive(event) {
          if (waiting.push(event) > maxWaiting) return stream.close();
          if (!isSending) void send();
        },
        end() {
          stream.close();
          return stream.closed;
        },
      };

      const ofTenant = listeners.get(tenantId) ?? new Set();
      listeners.set(tenantId, ofTenant.add(listener));
      await stream.closed;
      ofTenant.delete(listener);
      if (ofTenant.size === 0 && listeners.get(tenantId) === ofTenant) listeners.delete(tenantId);
    },
    deliver(tenantId, event) {
      for (const listener of listeners.get(tenantId) ?? []) listener.receive(event);
    },
    async close(tenantId) {
      const chosen = tenantId === undefined ? [...listeners.values()] : [listeners.get(tenantId) ?? []];
      await Promise.all(chosen.flatMap((ofTenant) => [...ofTenant].map((listener) => listener.end())));
    },
  };
}
