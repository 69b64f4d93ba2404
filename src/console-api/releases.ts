import type { FastifyInstance } from 'fastify';
import type { RecordedEvent } from '#src/audit/index.ts';
import type {
  AppVersionState,
  Release,
  ReleaseSettings,
  ReleaseTenant,
  ReleaseTenantState,
  Ring,
  RingVersion,
  TenantStanding,
} from '#src/releases/index.ts';
import { releaseTenantStates, rings } from '#src/releases/index.ts';
import { type ConsoleApiDeps, objectSchema, stateList, tenantParams, withoutZero } from './api.ts';

/** A release, and tenants in it. Moments are ISO 8601 on the wire. */
export interface ReleaseView {
  readonly release: Release;
  /** Those that were asked for; by default those that something went wrong with. */
  readonly tenants: readonly ReleaseTenant[];
}

/** An app that runs as processes: what there is to be released, and what its tenants run. */
export interface ReleasableApp {
  readonly app: string;
  /** The newest first. */
  readonly versions: readonly {
    readonly version: string;
    readonly title: string;
    readonly notes: string;
    readonly state: AppVersionState;
    readonly addedAt: Date;
  }[];
  readonly rings: readonly Omit<RingVersion, 'app'>[];
}

export type ReleaseDeps = Pick<
  ConsoleApiDeps,
  'lifecycle' | 'db' | 'auditLog' | 'actorOf' | 'requireStepUp' | 'rollouts' | 'standings' | 'apps'
>;

/** What is recorded of a release itself. */
const historyNames = [
  'release.started',
  'release.ring_done',
  'release.halted',
  'release.changed',
  'release.returned',
  'release.done',
] as const;

const text = { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } as const;
/** Name of an app: its newest release; or the id of a release, so that an old page acts on what it shows. */
const params = objectSchema({ release: text }, ['release']);
type Params = { Params: { release: string } };

/** Versions on their way through the rings. */
export function releaseRoutes(deps: ReleaseDeps) {
  const { rollouts, standings, apps, lifecycle, actorOf, requireStepUp } = deps;
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
      '/api/releases/:release',
      {
        config: { operation: 'release.get', isQuiet: true },
        schema: { params, querystring: objectSchema({ states: stateList(releaseTenantStates) }) },
      },
      async ({ params: { release }, query }): Promise<ReleaseView> =>
        view(await rollouts.get(release), query.states?.split(',') as ReleaseTenantState[] | undefined),
    );

    app.get<Params>(
      '/api/releases/:release/history',
      { config: { operation: 'release.history' }, schema: { params } },
      async ({ params: { release } }): Promise<{ events: readonly RecordedEvent[] }> => {
        const { releaseId: subject } = await rollouts.get(release);
        // By name, because that is what the log can find.
        const pages = await Promise.all(
          historyNames.map((name) => deps.auditLog.list(deps.db, { name, subject, limit: 200 })),
        );
        const events = pages.flatMap((page) => page.events);
        return { events: events.sort((a, b) => b.recordedAt.getTime() - a.recordedAt.getTime()) };
      },
    );

    app.post<{ Body: { app: string; version: string; notes?: string } & Partial<ReleaseSettings> }>(
      '/api/releases',
      {
        config: { operation: 'release.start' },
        schema: {
          body: objectSchema(
            {
              app: text,
              version: text,
              notes: { type: 'string', maxLength: 10_000, pattern: withoutZero },
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
        const { app: name, version, notes, ...settings } = request.body;
        reply.code(202);
        return view(await rollouts.start(name, version, settings, actorOf(request), notes));
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
        `/api/releases/:release/${verb}`,
        { config: { operation: `release.${verb}` }, schema: { params } },
        async (request): Promise<ReleaseView> => {
          // To stop is never made harder.
          if (verb === 'promote' || verb === 'resume') await requireStepUp(request);
          return view(await act(request.params.release, actorOf(request)));
        },
      );

    app.get('/api/releasable-apps', { config: { operation: 'release.apps' } }, async () => {
      const rows = await standings.ringVersions();
      const found = new Map<string, ReleasableApp['versions'][number][]>();
      for (const { app: name, version, manifest, notes, state, addedAt } of await apps.list())
        found.set(name, [...(found.get(name) ?? []), { version, title: manifest.title, notes, state, addedAt }]);
      const ringsOf = (name: string) => rows.filter((row) => row.app === name).map(({ app: _, ...row }) => row);
      return {
        apps: [...found].map(([name, versions]): ReleasableApp => ({ app: name, versions, rings: ringsOf(name) })),
      };
    });

    app.get<{ Params: { tenantId: string } }>(
      '/api/tenants/:tenantId/version',
      { config: { operation: 'tenant.version.get' }, schema: { params: tenantParams } },
      async ({ params }): Promise<{ standing: TenantStanding | null }> => {
        const { tenantId } = await lifecycle.getTenant(params.tenantId);
        return { standing: (await standings.find(tenantId)) ?? null };
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
