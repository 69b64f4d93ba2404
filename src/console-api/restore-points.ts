import type { FastifyInstance } from 'fastify';
import { tenantParams } from './api.ts';

/** Which moments of a tenant can be restored, and what happened at some of them. Times are ISO 8601 in UTC, of the installation's clock. */
export interface RestorePoints {
  /** When this was answered. */
  readonly now: string;
  /** Every region by itself: a restore reads one. */
  readonly regions: readonly RegionMoments[];
  /** In order of time. */
  readonly points: readonly NamedPoint[];
}

export interface RegionMoments {
  readonly region: string;
  /** In order of time; between them are gaps. A restore to any moment in one of them finds what it needs in this region. */
  readonly stretches: readonly { readonly from: string; readonly to: string }[];
  /** The region did not answer: what it holds is what was last seen there, or nothing. */
  readonly isAway: boolean;
}

/** Something that happened to the tenant. To restore to `at` is to have it as it was just before. */
export interface NamedPoint {
  readonly at: string;
  readonly kind: 'renamed' | 'suspended' | 'resumed' | 'deleted' | 'operation';
  /** For example `Renamed from acme to acme-2`. */
  readonly text: string;
}

export interface RestorePointDeps {
  restorePoints(idOrName: string): Promise<RestorePoints>;
}

export function restorePointRoutes(deps: RestorePointDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Params: { tenantId: string } }>(
      '/api/tenants/:tenantId/restore-points',
      { config: { operation: 'tenant.restore_points' }, schema: { params: tenantParams } },
      ({ params }) => deps.restorePoints(params.tenantId),
    );
  };
}
