import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TenantId } from '#src/kernel/index.ts';
import type { KeptApp } from '#src/processes/types.ts';
import type { TenantApp } from '#src/releases/index.ts';
import type { Tenant } from '#src/tenants/types.ts';
import { objectSchema, withoutZero } from './api.ts';

/** The process of a tenant's app as commands see it. */
export interface AppProcessView extends KeptApp {
  readonly name: string;
  readonly app: string;
}

export interface AppProcessDeps {
  readonly processes: { list(): Promise<readonly KeptApp[]> };
  /** By id or name. FH_TENANT_NOT_FOUND. */
  readonly getTenant: (idOrName: string) => Promise<Tenant>;
  /** Gives the tenant another version of its app, from its next start on, which is at once. */
  readonly useVersion: (tenantId: TenantId, version: string, actor: string) => Promise<TenantApp>;
  readonly actorOf: (request: FastifyRequest) => string;
}

const name = { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } as const;

/** Apps that run as processes. Only on the command socket. */
export function appProcessRoutes({ processes, getTenant, useVersion, actorOf }: AppProcessDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/api/app-processes', { config: { operation: 'app.process.list' } }, async () => {
      const kept = await processes.list();
      const processViews = await Promise.all(
        kept.map(async (each): Promise<AppProcessView> => {
          const { name, app: appName } = await getTenant(each.tenantId);
          return { ...each, name, app: appName };
        }),
      );
      return { processes: processViews.sort((a, b) => a.name.localeCompare(b.name, 'en')) };
    });

    app.post<{ Params: { tenant: string }; Body: { version: string } }>(
      '/api/app-processes/:tenant/version',
      {
        config: { operation: 'app.process.use' },
        schema: {
          params: objectSchema({ tenant: name }, ['tenant']),
          body: objectSchema({ version: name }, ['version']),
        },
      },
      async (request) => {
        const { tenantId } = await getTenant(request.params.tenant);
        return useVersion(tenantId, request.body.version, actorOf(request));
      },
    );
  };
}
