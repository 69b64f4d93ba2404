import type { FastifyInstance } from 'fastify';
import type { Drill, Verification } from '#src/backups/index.ts';
import { idSchema, objectSchema } from './api.ts';

export type { Checked, Finding } from '#src/backups/index.ts';

/** A base backup or a dump that was restored and checked; times in ISO 8601. */
export interface VerificationView extends Omit<Verification, 'startedAt' | 'finishedAt'> {
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** An installation, or a private server, that was rebuilt from one region; times in ISO 8601. */
export interface DrillView extends Omit<Drill, 'startedAt' | 'finishedAt'> {
  readonly startedAt: string;
  readonly finishedAt: string;
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
  /** Name of a private server whose base backup it is. Default: the main one. */
  readonly cluster?: string;
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
  /** Begins one, or tells of the one that runs. Throws when the backup, the region or the server is not known. */
  startVerification(request: VerificationRequest): Promise<VerificationRun>;
  startDrill(request: Omit<VerificationRequest, 'backupId'>): Promise<DrillRun>;
  latestVerification(): VerificationRun | undefined;
  latestDrill(): DrillRun | undefined;
}

const limit = { type: 'integer', minimum: 1, maximum: 500, default: 100 } as const;
const cluster = { type: 'string', pattern: '^[a-z0-9]{1,32}$' } as const;
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
        schema: { body: objectSchema({ backupId: idSchema('bak'), region, cluster }) },
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
    app.post<{ Body: Omit<VerificationRequest, 'backupId'> }>(
      '/api/drills',
      { config: { operation: 'drill.run' }, schema: { body: objectSchema({ region, cluster }) } },
      async ({ body }, reply) => reply.code(202).send({ run: await deps.startDrill(body) }),
    );
  };
}
