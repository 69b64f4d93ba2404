import type { FastifyInstance } from 'fastify';
import { objectSchema, withoutZero } from './api.ts';

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

export interface DumpDeps {
  /** Newest first. */
  list(): Promise<readonly DumpView[]>;
  /** Begins one, of one tenant (id or name) or of all, or tells of the one that runs. Throws FH_TENANT_NOT_FOUND. */
  start(tenant?: string): Promise<DumpRunView>;
  /** The newest that was asked for since control started; undefined: none. */
  latest(): DumpRunView | undefined;
}

export function dumpRoutes(deps: DumpDeps) {
  const body = objectSchema({ tenant: { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } });
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/api/dumps', { config: { operation: 'dump.list' } }, async () => ({ dumps: await deps.list() }));
    app.get('/api/dumps/latest-run', { config: { operation: 'dump.run.get', isQuiet: true } }, () => ({
      run: deps.latest() ?? null,
    }));
    app.post<{ Body: { tenant?: string } }>(
      '/api/dumps',
      { config: { operation: 'dump.run' }, schema: { body } },
      async (request, reply) => reply.code(202).send({ run: await deps.start(request.body.tenant) }),
    );
  };
}
