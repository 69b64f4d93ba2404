import type { FastifyRequest } from 'fastify';
import type { AuditLog } from '#src/audit/index.ts';
import type { FleetDrift, FleetRuns } from '#src/fleet/index.ts';
import type { OperationId } from '#src/kernel/index.ts';
import type { Portability } from '#src/portability/index.ts';
import type { AppRegistry, Rollouts, Standings } from '#src/releases/index.ts';
import type { ControlDatabase, Operation, Tenant, TenantLifecycle } from '#src/tenants/index.ts';

/** What the routes work with; wired once for the console listener and once for the command socket. */
export interface ConsoleApiDeps {
  readonly lifecycle: TenantLifecycle;
  readonly portability: Pick<
    Portability,
    'receiveUpload' | 'removeUpload' | 'inspectArchive' | 'openExport' | 'removeExport'
  >;
  readonly db: ControlDatabase;
  readonly auditLog: Pick<AuditLog, 'list'>;
  /** Who asks: `staff:stf_…` or `os:root`. Throws when nobody is signed in. */
  readonly actorOf: (request: FastifyRequest) => string;
  /** Before a dangerous act (delete, restore, clone, destroy a key, download an archive): throws FH_STEP_UP_REQUIRED. */
  readonly requireStepUp: (request: FastifyRequest) => Promise<void>;
  /** After a body that the route read itself: throws when whoever asked is signed out by now. */
  readonly confirmSignedIn: (request: FastifyRequest) => Promise<void>;
  readonly tenantUrl: (name: string) => string;
  /** How far the fleet's databases are. */
  readonly fleetReport: () => Promise<FleetReport>;
  readonly fleet: Pick<FleetRuns, 'start' | 'latest' | 'subjects'>;
  /** Whether schemas are what their versions say. */
  readonly drift: Pick<FleetDrift, 'check' | 'list'>;
  readonly rollouts: Rollouts;
  readonly standings: Standings;
  readonly apps: Pick<AppRegistry, 'list'>;
  /** Largest archive that is taken. Default 1 TiB. */
  readonly maxArchiveBytes?: number;
  /** Ends event streams at drain. */
  readonly signal?: AbortSignal;
}

export interface FleetReport {
  readonly tenants: readonly {
    readonly tenantId: string;
    readonly name: string;
    readonly app: string;
    /** Number of the last migration that was run, and of the last that there is. */
    readonly platform: { readonly at: number; readonly of: number };
    readonly appMigrations: { readonly at: number; readonly of: number };
    /** Why it could not be brought or looked at, if so. */
    readonly problem?: string;
  }[];
}

export interface TenantView extends Tenant {
  readonly url: string;
}

export function toView(deps: ConsoleApiDeps, tenant: Tenant): TenantView {
  return { ...tenant, url: deps.tenantUrl(tenant.name) };
}

export const idSchema = (prefix: string) =>
  ({ type: 'string', pattern: `^${prefix}_[0-9a-hjkmnp-tv-z]{26}$` }) as const;

export function objectSchema(properties: Record<string, object>, required: readonly string[] = []) {
  return { type: 'object', additionalProperties: false, properties, required } as const;
}

export const operationParams = objectSchema({ operationId: idSchema('opr') }, ['operationId']);

/** No text of PostgreSQL holds a zero byte. */
export const withoutZero = '^[^\\u0000]*$';

/** Path parameter of a tenant: its id or the name it has now. */
export const tenantParams = objectSchema(
  { tenantId: { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } },
  ['tenantId'],
);

export interface OperationParams {
  readonly operationId: OperationId;
}

export interface Started {
  readonly operation: Operation;
}

/** One state or several, separated by commas. */
export function stateList(states: readonly string[]) {
  const one = `(?:${states.join('|')})`;
  return { type: 'string', maxLength: 200, pattern: `^${one}(?:,${one})*$` } as const;
}
