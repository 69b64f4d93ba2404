import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AuditEvent } from '#src/audit/index.ts';
import type { Clock, TenantId } from '#src/kernel/index.ts';
import { cursorPattern, longestPage } from '#src/processes/index.ts';
import type { KeptApp, LogPage, LogQuery } from '#src/processes/types.ts';
import type { Tenant } from '#src/tenants/types.ts';
import { objectSchema, tenantParams } from './api.ts';
import { consoleErrors } from './errors.ts';

/** How the app of a tenant is, without anything that it wrote. */
export interface AppStateView {
  readonly app: string;
  /** False: the app runs inside Freehold, and has no log of its own. */
  readonly isProcess: boolean;
  readonly state: KeptApp['state'];
  readonly version: string | undefined;
  readonly idleMs: number | undefined;
  readonly upMs: number | undefined;
  readonly failures: number;
  readonly memoryBytes: number | undefined;
  /** Why it does not run: one line. */
  readonly reason: string | undefined;
}

export interface AppLogDeps {
  readonly processes: {
    list(): Promise<readonly KeptApp[]>;
    readLog(tenantId: TenantId, query: LogQuery): Promise<LogPage>;
  };
  readonly findTenantApp: (tenantId: TenantId) => Promise<{ readonly version: string } | undefined>;
  /** By id or name. FH_TENANT_NOT_FOUND. */
  readonly getTenant: (idOrName: string) => Promise<Tenant>;
  readonly recordAudit: (event: AuditEvent) => Promise<void>;
  readonly actorOf: (request: FastifyRequest) => string;
  /** Throws FH_STEP_UP_REQUIRED. */
  readonly requireStepUp: (request: FastifyRequest) => Promise<void>;
  readonly clock: Clock;
}

type Params = { Params: { tenantId: string } };

/** Whoever follows a log asks every few seconds; who has not for so long has closed it. */
const openMs = 120_000;
const mostOpen = 1_000;

/**
 * What the app of a tenant wrote. It may hold what the tenant's users do, so opening it asks members who they are and is recorded; what comes after is given to
 * nobody else (app-logs.test.ts).
 */
export function appLogRoutes(deps: AppLogDeps) {
  const { processes, getTenant, actorOf, clock } = deps;
  /** Who has a log open, and when they last read it. */
  const readers = new Map<string, number>();

  function noteRead(actor: string, tenantId: TenantId): void {
    const reader = `${actor} ${tenantId}`;
    // Anew at the end: the first is who has not read for longest.
    readers.delete(reader);
    readers.set(reader, clock.monotonicMs());
    if (readers.size > mostOpen) readers.delete(readers.keys().next().value!);
  }

  return async (app: FastifyInstance): Promise<void> => {
    app.get<Params>(
      '/api/tenants/:tenantId/app',
      { config: { operation: 'app.process.get' }, schema: { params: tenantParams } },
      async ({ params }): Promise<AppStateView> => {
        const tenant = await getTenant(params.tenantId);
        const placed = await deps.findTenantApp(tenant.tenantId);
        const kept = placed && (await processes.list()).find(({ tenantId }) => tenantId === tenant.tenantId);
        return {
          app: tenant.app,
          isProcess: placed !== undefined,
          state: kept?.state ?? 'asleep',
          version: kept?.version ?? placed?.version,
          idleMs: kept?.idleMs,
          upMs: kept?.upMs,
          failures: kept?.failures ?? 0,
          memoryBytes: kept?.memoryBytes,
          reason: kept?.error?.split('\n')[0],
        };
      },
    );

    // A POST, because it leaves a mark: no page and no program opens it ahead of time.
    app.post<Params & { Body: { lines?: number } }>(
      '/api/tenants/:tenantId/app-log/open',
      {
        config: { operation: 'app.log.open' },
        schema: {
          params: tenantParams,
          body: objectSchema({ lines: { type: 'integer', minimum: 1, maximum: longestPage } }),
        },
      },
      async (request, reply) => {
        const { tenantId } = await getTenant(request.params.tenantId);
        const actor = actorOf(request);
        await deps.requireStepUp(request);
        await deps.recordAudit({ name: 'app.log_read', actor, subject: tenantId, tenantId });
        noteRead(actor, tenantId);
        reply.header('cache-control', 'no-store');
        return processes.readLog(tenantId, { last: request.body.lines ?? 100 });
      },
    );

    app.get<Params & { Querystring: { after: string } }>(
      '/api/tenants/:tenantId/app-log',
      {
        config: { operation: 'app.log.follow' },
        schema: {
          params: tenantParams,
          querystring: objectSchema({ after: { type: 'string', maxLength: 64, pattern: cursorPattern } }, ['after']),
        },
      },
      async (request, reply) => {
        const { tenantId } = await getTenant(request.params.tenantId);
        const actor = actorOf(request);
        const readMs = readers.get(`${actor} ${tenantId}`);
        if (readMs === undefined || clock.monotonicMs() - readMs > openMs) throw consoleErrors.FH_APP_LOG_NOT_OPEN();
        noteRead(actor, tenantId);
        reply.header('cache-control', 'no-store');
        return processes.readLog(tenantId, { after: request.query.after });
      },
    );
  };
}
