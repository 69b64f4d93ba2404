import type { FastifyInstance } from 'fastify';
import { idSchema, objectSchema } from './api.ts';

/** What a verification or a drill found wrong. */
export interface Finding {
  /** Of `docs/errors.md`. */
  readonly code: string;
  /** The cause, in words for staff. */
  readonly text: string;
  /** Whose data it is about; absent: everybody's. */
  readonly tenantId?: string;
  /** As it was called at the time. */
  readonly tenantName?: string;
}

/** What was compared; absent figures: it did not come so far. */
export interface Checked {
  /** Tenants whose rows were compared with the ledger, and how many there were. */
  readonly tenants?: number;
  readonly ofTenants?: number;
  readonly tables?: number;
  readonly rows?: number;
  /** Canaries found. */
  readonly canaries?: number;
  /** The place in the WAL that had to be reached, as PostgreSQL prints it. */
  readonly target?: string;
  /** Tenants that were not compared because they were being written all the time; they are the first the next time. */
  readonly busyTenants?: number;
  /** The base backup that was restored. */
  readonly backupId?: string;
}

/** A base backup or a dump that was restored and checked. */
export interface VerificationView {
  readonly verificationId: string;
  readonly kind: 'backup' | 'dump';
  /** `bak_…`, or the id of the dump. */
  readonly subject: string;
  /** Of a dump. */
  readonly tenantId?: string;
  /** The one region that was read; the others were denied. */
  readonly region: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly passed: boolean;
  /** Empty when it passed. */
  readonly findings: readonly Finding[];
  readonly checked: Checked;
}

/** An installation that was rebuilt from one region. */
export interface DrillView {
  readonly drillId: string;
  readonly region: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly passed: boolean;
  /** Work that would have been lost. Absent: it did not get so far. */
  readonly recoveryPointMs?: number;
  /** From the simulated loss until control's database and every tenant's answered. */
  readonly recoveryTimeMs?: number;
  readonly findings: readonly Finding[];
  readonly checked: Checked;
}

/** A verification or a drill that goes on, or the last one since control started. */
export interface CheckRun {
  readonly state: 'running' | 'passed' | 'failed';
  readonly startedAt: string;
  readonly region: string;
  /** Of all of it, 0 to 1. */
  readonly fraction: number;
  /** What it is doing. */
  readonly text: string;
  /** It could not even be begun, or was cut short; then there is no record of it. */
  readonly error?: { readonly code: string; readonly text: string };
}

export interface VerificationRun extends CheckRun {
  /** When it is over. */
  readonly verification?: VerificationView;
}

export interface DrillRun extends CheckRun {
  readonly drill?: DrillView;
}

export interface VerificationRequest {
  /** Default: the newest that the region holds. */
  readonly backupId?: string;
  /** Default: the one that was not read the last time. */
  readonly region?: string;
}

export interface VerificationDeps {
  /** Newest first. */
  listVerifications(filter: {
    readonly limit: number;
    readonly subject?: string;
    readonly tenantId?: string;
  }): Promise<readonly VerificationView[]>;
  /** Newest first. */
  listDrills(filter: { readonly limit: number }): Promise<readonly DrillView[]>;
  /** Begins one, or tells of the one that runs. Throws when the backup or the region is not known. */
  startVerification(request: VerificationRequest): Promise<VerificationRun>;
  startDrill(request: { readonly region?: string }): Promise<DrillRun>;
  latestVerification(): VerificationRun | undefined;
  latestDrill(): DrillRun | undefined;
}

const limit = { type: 'integer', minimum: 1, maximum: 500, default: 100 } as const;
const region = { type: 'string', pattern: '^[a-z0-9_]{1,32}$' } as const;

/**
 * `GET /api/verifications` → `{"verifications":[…]}`, `GET /api/drills` → `{"drills":[…]}`, both newest first. `POST` begins one (202 `{"run"}`), and
 * `GET /api/verifications/latest-run` and `/api/drills/latest-run` tell how it goes: `{"run": … | null}`.
 */
export function verificationRoutes(deps: VerificationDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Querystring: { limit: number; subject?: string; tenantId?: string } }>(
      '/api/verifications',
      {
        config: { operation: 'verification.list' },
        schema: {
          querystring: objectSchema({
            limit,
            subject: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[a-z0-9_]*$' },
            tenantId: idSchema('ten'),
          }),
        },
      },
      async ({ query }) => ({ verifications: await deps.listVerifications(query) }),
    );
    app.get('/api/verifications/latest-run', { config: { operation: 'verification.run.get', isQuiet: true } }, () => ({
      run: deps.latestVerification() ?? null,
    }));
    app.post<{ Body: VerificationRequest }>(
      '/api/verifications',
      {
        config: { operation: 'verification.run' },
        schema: { body: objectSchema({ backupId: idSchema('bak'), region }) },
      },
      async ({ body }, reply) => reply.code(202).send({ run: await deps.startVerification(body) }),
    );
    app.get<{ Querystring: { limit: number } }>(
      '/api/drills',
      { config: { operation: 'drill.list' }, schema: { querystring: objectSchema({ limit }) } },
      async ({ query }) => ({ drills: await deps.listDrills(query) }),
    );
    app.get('/api/drills/latest-run', { config: { operation: 'drill.run.get', isQuiet: true } }, () => ({
      run: deps.latestDrill() ?? null,
    }));
    app.post<{ Body: { region?: string } }>(
      '/api/drills',
      { config: { operation: 'drill.run' }, schema: { body: objectSchema({ region }) } },
      async ({ body }, reply) => reply.code(202).send({ run: await deps.startDrill(body) }),
    );
  };
}
