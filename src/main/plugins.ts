import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type AuditEvent, recordAudit } from '#src/audit/index.ts';
import type { HealthWarning } from '#src/console-api/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { issuePluginToken, revokePluginToken } from '#src/identity/index.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import {
  createPluginLink,
  createPluginRegistry,
  createPluginRuns,
  createPluginSchedule,
  endInterrupted,
} from '#src/plugins/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { pluginsApp } from '#src/processes/index.ts';
import type { ControlDatabase, Tenant } from '#src/tenants/index.ts';
import type { AppProcesses } from './app-processes.ts';
import type { Folders } from './folders.ts';
import { restoredMarker } from './mail-services.ts';
import type { Shutdown } from './shutdown.ts';

/** Control's side of custom plugins: which there are, when they run, what they keep. */
export function createPlugins(of: {
  readonly folders: Folders;
  readonly pool: ControlDatabase;
  readonly databases: Pick<TenantDatabases, 'platform'>;
  readonly appProcesses: Pick<AppProcesses, 'pluginPackages'>;
  readonly lifecycle: { getTenant(idOrName: string): Promise<Tenant> };
  readonly tenantUrl: (name: string) => string;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}) {
  const { folders, pool, clock, log, shutdown } = of;
  const transact = <T>(tenantId: TenantId, work: (db: Queryable) => Promise<T>) =>
    of.databases.platform.transact(tenantId, work);
  const link = createPluginLink({
    socketPath: folders.pluginsSocket,
    // The folder says who may enter.
    mode: 0o666,
    state: (runId, call) => runs.state(runId, call),
    log,
  });
  const registry = createPluginRegistry({
    db: pool,
    store: {
      has: async (digest) => existsSync(join(folders.apps, pluginsApp, digest)),
      ...of.appProcesses.pluginPackages,
    },
    transact,
    removeLog: (tenantId) => link.removeLog(tenantId),
    endRuns: (tenantId, name, reason) => runs.end(tenantId, name, reason),
    recordAudit,
    clock,
    log,
  });
  const runs = createPluginRuns({
    db: pool,
    registry,
    keeper: link,
    getTenant: (idOrName) => of.lifecycle.getTenant(idOrName),
    transact,
    tenantUrl: of.tenantUrl,
    tokens: { issue: issuePluginToken, revoke: revokePluginToken },
    recordAudit,
    clock,
    log,
  });
  const schedule = createPluginSchedule({ db: pool, runs, registry, transact, clock, log });
  return {
    forRoutes: {
      registry,
      runs,
      readLog: (tenantId: TenantId, last: number) => link.readLog(tenantId, last),
      getTenant: (idOrName: string) => of.lifecycle.getTenant(idOrName),
      recordAudit: (event: AuditEvent) => recordAudit(pool, event),
    },
    async warnings(): Promise<HealthWarning[]> {
      return (await registry.listFailed()).map(({ tenantId, name, failures, last }) => ({
        severity: 'problem',
        text: `The plugin ${name} of ${tenantId} failed ${failures} times in a row and runs no more: ${last?.reason ?? 'it is not known why'}.`,
        hint: `See ./freehold plugin log ${tenantId}, then ./freehold plugin enable ${tenantId} ${name}.`,
      }));
    },
    async start() {
      await endInterrupted(pool);
      // Before the mail's services, which take the mark away. Where the installation was lost and where it was copied look the same from here.
      if (existsSync(restoredMarker(folders))) {
        const held = await registry.disableAll('the installation was recovered');
        if (held > 0)
          log.warn('plugins are disabled since the recovery, until somebody enables them', { plugins: held });
      }
      await link.start();
      shutdown.add('link to the keeper of plugins', 5_000, () => link.stop());
      schedule.start();
      shutdown.add('schedule of plugins', 10_000, () => schedule.stop());
    },
  };
}
