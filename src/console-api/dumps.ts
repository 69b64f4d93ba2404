import type { FastifyInstance } from 'fastify';
import { type DumpStanding, dumpStandings } from '#src/backups/index.ts';
import { objectSchema, withoutZero } from './api.ts';

export type { DumpStanding } from '#src/backups/index.ts';

/** A dump that lies in at least one region. */
export interface DumpView {
  readonly dumpId: string;
  readonly tenantId: string;
  readonly tenantName: string;
  readonly madeAt: string;
  /** Sealed, in each region. */
  readonly sizeBytes: number;
  readonly regions: readonly string[];
  /** The newest verification by restore; one that failed in a region that holds it before all others. null: not yet. */
  readonly verification: {
    readonly finishedAt: string;
    readonly region: string;
    readonly passed: boolean;
    readonly findings: readonly { readonly code: string; readonly text: string }[];
  } | null;
}

/** What became of one tenant in a run. */
export interface DumpedTenant {
  readonly tenantId: string;
  readonly tenantName: string;
  /** `unchanged`: its newest dump holds what the database holds. */
  readonly outcome: 'stored' | 'unchanged' | 'failed';
  readonly dumpId?: string;
  readonly server?: 'standby' | 'primary';
  readonly sizeBytes?: number;
  readonly regions?: readonly string[];
  /** By restore, from one region. */
  readonly verified?: { readonly region: string; readonly passed: boolean };
  readonly error?: { readonly code: string; readonly text: string };
}

export interface DumpRunView {
  readonly state: 'running' | 'succeeded' | 'failed';
  readonly phase: 'dumping' | 'verifying';
  readonly startedAt: string;
  readonly tenants: readonly DumpedTenant[];
  readonly doneTenants: number;
  readonly allTenants: number;
  /** Sealed bytes of the dump under way. */
  readonly writtenBytes: number;
  readonly error?: { readonly code: string; readonly text: string };
}

/** How one tenant stands with its dumps. */
export interface TenantDumps {
  readonly tenantId: string;
  readonly tenantName: string;
  readonly tenantState: 'active' | 'suspended';
  readonly standing: DumpStanding;
  /** null: there is none yet. */
  readonly newest: DumpView | null;
  /** Dumps that are kept, the newest included. */
  readonly kept: number;
  /** Tables of the app (`schema.table`) whose rows are in no dump and no backup: it made them UNLOGGED. As of the newest dump. */
  readonly unloggedTables: readonly string[];
  /** The last attempt, by the night's job or by command; null: none yet. `unchanged`: the newest dump still holds all. */
  readonly lastRun: {
    readonly endedAt: string;
    readonly outcome: 'stored' | 'unchanged' | 'failed';
    readonly error: { readonly code: string; readonly text: string } | null;
  } | null;
}

export interface DumpOverviewQuery {
  /** Part of a tenant's name, or its whole id. */
  readonly search?: string;
  /** `trouble`: those that a person must look at. Default: one of the standings, or all. */
  readonly standing?: DumpStanding | 'trouble';
  readonly limit: number;
  readonly offset: number;
}

export interface DumpOverview {
  /** Worst first, then by name. */
  readonly tenants: readonly TenantDumps[];
  /** That match. */
  readonly total: number;
  /** Of all tenants that are to be dumped, whatever was asked for. */
  readonly counts: Readonly<Record<DumpStanding, number>>;
  readonly regions: readonly string[];
}

export interface DumpDeps {
  /** Newest first. @param tenant id or name; undefined: of all */
  list(tenant?: string): Promise<readonly DumpView[]>;
  overview(query: DumpOverviewQuery): Promise<DumpOverview>;
  /** Begins one, of one tenant (id or name) or of all, or tells of the one that runs. Throws FH_TENANT_NOT_FOUND. */
  start(tenant?: string): Promise<DumpRunView>;
  /** The newest that was asked for since control started; undefined: none. */
  latest(): DumpRunView | undefined;
}

/**
 * `GET /api/dumps` → `{"dumps":[…]}`, newest first; with `tenant`, those of one. `GET /api/dumps/tenants` → how each tenant stands with its dumps (DumpOverview).
 * `POST /api/dumps` begins some (202 `{"run"}`), and `GET /api/dumps/latest-run` tells how it goes: `{"run": … | null}`.
 */
export function dumpRoutes(deps: DumpDeps) {
  const text = { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } as const;
  const wanted = objectSchema({ tenant: text });
  const query = objectSchema({
    search: text,
    standing: { enum: [...dumpStandings, 'trouble'] },
    limit: { type: 'integer', minimum: 1, maximum: 500, default: 50 },
    offset: { type: 'integer', minimum: 0, maximum: 1_000_000, default: 0 },
  });
  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Querystring: { tenant?: string } }>(
      '/api/dumps',
      { config: { operation: 'dump.list' }, schema: { querystring: wanted } },
      async (request) => ({ dumps: await deps.list(request.query.tenant) }),
    );
    app.get<{ Querystring: DumpOverviewQuery }>(
      '/api/dumps/tenants',
      { config: { operation: 'dump.overview' }, schema: { querystring: query } },
      (request) => deps.overview(request.query),
    );
    app.get('/api/dumps/latest-run', { config: { operation: 'dump.run.get', isQuiet: true } }, () => ({
      run: deps.latest() ?? null,
    }));
    app.post<{ Body: { tenant?: string } }>(
      '/api/dumps',
      { config: { operation: 'dump.run' }, schema: { body: wanted } },
      async (request, reply) => reply.code(202).send({ run: await deps.start(request.body.tenant) }),
    );
  };
}
