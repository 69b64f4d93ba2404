import type { FastifyInstance } from 'fastify';
import {
  type DriftState,
  driftStates,
  type FleetDrift,
  type FleetRun,
  type FleetRuns,
  type FleetSubject,
  fleetErrors,
  type SubjectState,
  subjectStates,
  type TenantDrift,
} from '#src/fleet/index.ts';
import { type ConsoleApiDeps, objectSchema, stateList, withoutZero } from './api.ts';

/** Moments are ISO 8601 on the wire. */
export interface FleetRunView {
  /** null: nobody is behind. */
  readonly run: FleetRun | null;
  /** Those that were asked for; by default those that failed. */
  readonly tenants: readonly FleetSubject[];
}

/** Moments are ISO 8601 on the wire. */
export interface DriftView {
  readonly tenants: readonly TenantDrift[];
}

export interface MigrationDeps extends Pick<ConsoleApiDeps, 'lifecycle' | 'fleetReport' | 'actorOf' | 'signal'> {
  readonly fleet: Pick<FleetRuns, 'start' | 'latest' | 'subjects'>;
  readonly drift: Pick<FleetDrift, 'check' | 'list'>;
}

const tenantText = { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } as const;

/** Migrations of the fleet: how far everybody is, the run that brings them forward. */
export function migrationRoutes({ lifecycle, fleet, drift, fleetReport, actorOf, signal }: MigrationDeps) {
  const idOf = async (tenant: string | undefined) =>
    tenant === undefined ? undefined : (await lifecycle.getTenant(tenant)).tenantId;
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/api/migrations', { config: { operation: 'migration.report' } }, () => fleetReport());

    app.get<{ Querystring: { states?: string; limit?: number } }>(
      '/api/migration-runs/latest',
      {
        config: { operation: 'migration.run' },
        schema: {
          querystring: objectSchema({
            states: stateList(subjectStates),
            limit: { type: 'integer', minimum: 0, maximum: 100_000 },
          }),
        },
      },
      async (request) => {
        const run = await fleet.latest();
        if (!run) throw fleetErrors.FH_FLEET_RUN_NOT_FOUND();
        const states = (request.query.states ?? 'failed').split(',') as SubjectState[];
        return { run, tenants: await fleet.subjects(run.runId, { states, limit: request.query.limit }) };
      },
    );

    app.post<{ Body: { tenant?: string; maxFailedPercent?: number; minFailed?: number } }>(
      '/api/migration-runs',
      {
        config: { operation: 'migration.start' },
        schema: {
          body: objectSchema({
            tenant: tenantText,
            maxFailedPercent: { type: 'integer', minimum: 0, maximum: 100 },
            minFailed: { type: 'integer', minimum: 1, maximum: 1_000_000 },
          }),
        },
      },
      async (request, reply) => {
        const { tenant, ...rule } = request.body;
        const run = await fleet.start({ ...rule, requestedBy: actorOf(request), tenantId: await idOf(tenant) });
        return reply.code(run ? 202 : 200).send({ run: run ?? null, tenants: [] });
      },
    );

    app.get<{ Querystring: { states?: string } }>(
      '/api/schema-comparisons',
      {
        config: { operation: 'drift.list' },
        schema: { querystring: objectSchema({ states: stateList(driftStates) }) },
      },
      async (request) => {
        const states = request.query.states?.split(',') as DriftState[] | undefined;
        return { tenants: await drift.list(states ? { states } : {}) };
      },
    );

    app.post<{ Body: { tenant?: string } }>(
      '/api/schema-comparisons',
      { config: { operation: 'drift.check' }, schema: { body: objectSchema({ tenant: tenantText }) } },
      async (request) => ({ tenants: await drift.check(await idOf(request.body.tenant), signal) }),
    );
  };
}
