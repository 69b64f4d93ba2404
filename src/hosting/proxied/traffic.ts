import type { FastifyRequest } from 'fastify';
import { type Clock, FreeholdError, type TenantId } from '#src/kernel/index.ts';
import { proxiedErrors } from './errors.ts';
import { isUpgrade } from './upgrade.ts';

/** What releases want to know of requests: how they went, and whether anybody may have changed something. */
export interface TrafficSink {
  /** False: the tenant is about to go back, and what would be written now would be lost. */
  noteWritten(tenantId: TenantId): Promise<boolean>;
  record(tenantId: TenantId, version: string, answer: { readonly isError: boolean; readonly durationMs: number }): void;
}

/** RFC 9110, 9.2.1: these change nothing that their sender asked for. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export interface Traffic {
  /** Before a request is passed on. FH_APP_CHANGING: nothing of it has reached the app. */
  admit(request: FastifyRequest): Promise<void> | undefined;
  /** @param error what was answered instead of the app's answer */
  count(
    request: FastifyRequest,
    startedMs: number,
    outcome: { readonly status: number } | { readonly error: unknown },
  ): void;
}

/**
 * While a release watches a tenant, the first request that may write is noted before it is passed on, so that a way back with its content is never taken over a
 * user's work.
 */
export function createTraffic(sink: TrafficSink | undefined, clock: Clock): Traffic {
  /** By tenant, the release for which it was noted. */
  const noted = new Map<TenantId, string>();
  return {
    admit({ tenant: { tenantId, process }, method, raw }) {
      const trial = process?.trial;
      if (!sink || trial === undefined || noted.get(tenantId) === trial) return undefined;
      if (safeMethods.has(method) && !isUpgrade(raw)) return undefined;
      return sink.noteWritten(tenantId).then((mayPass) => {
        if (!mayPass) throw proxiedErrors.FH_APP_CHANGING({ retryAfterSeconds: 2 });
        noted.set(tenantId, trial);
      });
    },
    count({ tenant: { tenantId, process } }, startedMs, outcome) {
      if (!sink || !process) return;
      const isError =
        'status' in outcome
          ? outcome.status >= 500
          : outcome.error instanceof FreeholdError &&
            /^FH_APP_/.test(outcome.error.code) &&
            outcome.error.status >= 500;
      // What the client broke off, or we refused, says nothing of the app.
      if (!isError && !('status' in outcome)) return;
      sink.record(tenantId, process.version, { isError, durationMs: clock.monotonicMs() - startedMs });
    },
  };
}
