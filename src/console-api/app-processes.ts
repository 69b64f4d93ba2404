import type { FastifyInstance } from 'fastify';
import type { KeptApp } from '#src/processes/types.ts';
import type { Tenant } from '#src/tenants/types.ts';

/** The process of a tenant's app as commands see it. */
export interface AppProcessView extends KeptApp {
  readonly name: string;
  readonly app: string;
}

export interface AppProcessDeps {
  readonly processes: { list(): Promise<readonly KeptApp[]> };
  /** By id or name. FH_TENANT_NOT_FOUND. */
  readonly getTenant: (idOrName: string) => Promise<Tenant>;
}

/** Apps that run as processes. Only on the command socket. */
export function appProcessRoutes({ processes, getTenant }: AppProcessDeps) {
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
  };
}
