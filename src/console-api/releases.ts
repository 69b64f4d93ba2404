import type { FastifyInstance } from 'fastify';
import type {
  Release,
  ReleaseSettings,
  ReleaseTenant,
  ReleaseTenantState,
  Ring,
  Rollouts,
} from '#src/releases/index.ts';
import { releaseTenantStates, rings } from '#src/releases/index.ts';
import { type ConsoleApiDeps, objectSchema, stateList, tenantParams, withoutZero } from './api.ts';

/** A release, and tenants in it. Moments are ISO 8601 on the wire. */
export interface ReleaseView {
  readonly release: Release;
  /** Those that were asked for; by default those that something went wrong with. */
  readonly tenants: readonly ReleaseTenant[];
}

export interface ReleaseDeps extends Pick<ConsoleApiDeps, 'lifecycle' | 'actorOf' | 'requireStepUp'> {
  readonly rollouts: Rollouts;
}

const text = { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } as const;
const params = objectSchema({ app: text }, ['app']);
type Params = { Params: { app: string } };

/** Versions on their way through the rings. */
export function releaseRoutes({ rollouts, lifecycle, actorOf, requireStepUp }: ReleaseDeps) {
  const view = async (release: Release, states: readonly ReleaseTenantState[] = ['failed', 'skipped']) => ({
    release,
    tenants: await rollouts.tenants(release.releaseId, states),
  });
  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Querystring: { app?: string } }>(
      '/api/releases',
      { config: { operation: 'release.list' }, schema: { querystring: objectSchema({ app: text }) } },
      async ({ query }) => ({ releases: await rollouts.list(query.app) }),
    );

    app.get<Params & { Querystring: { states?: string } }>(
      '/api/releases/:app',
      {
        config: { operation: 'release.get' },
        schema: { params, querystring: objectSchema({ states: stateList(releaseTenantStates) }) },
      },
      async ({ params: { app: name }, query }): Promise<ReleaseView> =>
        view(await rollouts.latest(name), query.states?.split(',') as ReleaseTenantState[] | undefined),
    );

    app.post<{ Body: { app: string; version: string } & Partial<ReleaseSettings> }>(
      '/api/releases',
      {
        config: { operation: 'release.start' },
        schema: {
          body: objectSchema(
            {
              app: text,
              version: text,
              soakSeconds: { type: 'integer', minimum: 0, maximum: 30 * 86_400 },
              maxFailedPercent: { type: 'integer', minimum: 0, maximum: 100 },
              minFailed: { type: 'integer', minimum: 1, maximum: 1_000 },
              isManual: { type: 'boolean' },
              isRehearsed: { type: 'boolean' },
              mayContract: { type: 'boolean' },
              onHalt: { enum: ['return', 'keep'] },
            },
            ['app', 'version'],
          ),
        },
      },
      async (request, reply): Promise<ReleaseView> => {
        await requireStepUp(request);
        const { app: name, version, ...settings } = request.body;
        reply.code(202);
        return view(await rollouts.start(name, version, settings, actorOf(request)));
      },
    );

    const verbs = {
      promote: rollouts.promote,
      pause: rollouts.pause,
      resume: rollouts.resume,
      return: rollouts.takeBack,
    } as const;
    for (const [verb, act] of Object.entries(verbs))
      app.post<Params>(
        `/api/releases/:app/${verb}`,
        { config: { operation: `release.${verb}` }, schema: { params } },
        async (request): Promise<ReleaseView> => {
          // To stop is never made harder.
          if (verb === 'promote' || verb === 'resume') await requireStepUp(request);
          return view(await act(request.params.app, actorOf(request)));
        },
      );

    app.post<{ Params: { tenantId: string }; Body: { ring: Ring } }>(
      '/api/tenants/:tenantId/ring',
      {
        config: { operation: 'release.ring' },
        schema: { params: tenantParams, body: objectSchema({ ring: { enum: rings } }, ['ring']) },
      },
      async (request, reply) => {
        const { tenantId } = await lifecycle.getTenant(request.params.tenantId);
        await rollouts.setRing(tenantId, request.body.ring, actorOf(request));
        return reply.code(204).send();
      },
    );
  };
}
