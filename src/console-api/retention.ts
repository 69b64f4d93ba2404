import type { FastifyInstance } from 'fastify';

/** Objects of a region that share a fate. */
export interface RetentionShareView {
  readonly kind: string;
  /** Who still needs them, in words; absent: nobody. */
  readonly neededBy?: string;
  readonly objects: number;
  readonly sizeBytes: number;
}

export interface RetentionRegionView {
  readonly region: string;
  /** `failed`: it is away, for example; nothing is lost by waiting. */
  readonly state: 'listing' | 'removing' | 'done' | 'failed';
  /** While it removes. */
  readonly doneObjects?: number;
  readonly allObjects?: number;
  /** Every moment since then that could be restored still can. */
  readonly horizon?: string;
  /** What goes, or went. */
  readonly remove?: readonly RetentionShareView[];
  readonly keep?: readonly RetentionShareView[];
  readonly removedObjects?: number;
  readonly removedBytes?: number;
  /** Were to go and stayed, because somebody needs them by now. */
  readonly sparedObjects?: number;
  /** Uploads that never ended. */
  readonly removedUnfinished?: number;
  /** What a person should look at. */
  readonly warnings?: readonly string[];
  readonly error?: { readonly code: string; readonly text: string };
}

export interface RetentionRunView {
  readonly dryRun: boolean;
  readonly state: 'running' | 'ended';
  readonly startedAt: string;
  readonly days: number;
  readonly regions: readonly RetentionRegionView[];
}

export interface RetentionDeps {
  /** Begins a run in every region, or tells of the one that goes on. */
  start(options: { readonly dryRun: boolean }): RetentionRunView;
  /** The newest by command since control started; undefined: none. */
  latest(options: { readonly dryRun: boolean }): RetentionRunView | undefined;
}

/** Only on the command socket: what is removed from a region does not come back. */
export function retentionRoutes(deps: RetentionDeps) {
  const schema = {
    type: 'object',
    additionalProperties: false,
    required: ['dryRun'],
    properties: { dryRun: { type: 'boolean' } },
  } as const;
  return async (app: FastifyInstance): Promise<void> => {
    app.post<{ Body: { dryRun: boolean } }>(
      '/api/retention-runs',
      { config: { operation: 'retention.run' }, schema: { body: schema } },
      (request, reply) => reply.code(202).send({ run: deps.start(request.body) }),
    );
    app.get<{ Querystring: { dryRun: boolean } }>(
      '/api/retention-runs/latest',
      { config: { operation: 'retention.run.get', isQuiet: true }, schema: { querystring: schema } },
      (request) => ({ run: deps.latest(request.query) ?? null }),
    );
  };
}
