import { createBackgroundWork } from './background.ts';
import { createContext, defaultMaxFileBytes, newRequestId, toAppUser } from './context.ts';
import { hostingErrors } from './errors.ts';
import { createEventHub } from './events.ts';
import { parseApp } from './parse-app.ts';
import { createAppPlugin, type PluginDeps } from './plugin.ts';
import type { Hosting, HostingDeps } from './types.ts';

/** Checks the apps and prepares to run them. Throws FH_APP_INVALID when one does not follow the contract. */
export function createHosting(deps: HostingDeps): Hosting {
  const apps = new Map(deps.apps.map((app) => [parseApp(app).manifest.name, app]));
  if (apps.size !== deps.apps.length) throw hostingErrors.FH_APP_INVALID({ detail: 'two apps have the same name' });
  const background = createBackgroundWork(deps.log);
  const events = createEventHub(deps);
  const drain = new AbortController();
  const pluginDeps: PluginDeps = {
    ...deps,
    background,
    events,
    publish(tenantId, event) {
      events.deliver(tenantId, event);
      deps.publishEvent(tenantId, event);
    },
  };

  function getApp(name: string) {
    const app = apps.get(name);
    if (!app) throw hostingErrors.FH_APP_UNKNOWN({ detail: name });
    return app;
  }

  return {
    plugin: (appName) => createAppPlugin(getApp(appName), pluginDeps),
    deliverEvent: events.deliver,
    async seedDemo(tenant, variant, firstUser) {
      const { demo } = getApp(tenant.app);
      if (!demo) return;
      const { context, end } = createContext(pluginDeps, {
        tenant,
        user: toAppUser(firstUser),
        requestId: newRequestId(),
        signal: drain.signal,
        maxFileBytes: defaultMaxFileBytes,
      });
      try {
        await demo(context, variant);
      } finally {
        end();
      }
    },
    async evict(tenantId) {
      await Promise.all([events.close(tenantId), background.evict(tenantId)]);
    },
    async stop(deadlineMs) {
      drain.abort(new Error('the server drains'));
      await Promise.all([events.close(), background.stop(deadlineMs)]);
    },
  };
}
