import { join } from 'node:path';
import { type Log, systemClock, type TenantId } from '#src/kernel/index.ts';
import type { Outgoing } from '#src/outgoing/index.ts';
import { connectToPlugins, createApi, createPluginHost, longestAnswer, pluginErrors } from '#src/plugins/index.ts';
import {
  type AppLog,
  createAppLog,
  type LauncherPort,
  pluginsApp,
  readLogPage,
  removeAppLog,
  runTask,
} from '#src/processes/index.ts';
import type { Config } from './config.ts';
import type { Folders } from './folders.ts';

/** Beside the plugin's own there are bubblewrap and the door-keeper. */
const ownMemoryBytes = 64 * 2 ** 20;
const processes = 64;

/** The keeper's side of plugins: sandboxes of the supervisor, the gateway's door, the door to the internet, a log per tenant. */
export function startPluginHost(of: {
  readonly config: Config;
  readonly folders: Folders;
  readonly outgoing: Outgoing;
  readonly launcher: LauncherPort;
  readonly log: Log;
}): { stop(): Promise<void> } {
  const { config, folders, outgoing, launcher, log } = of;
  const pathOf = (tenantId: TenantId) => join(folders.appLogs, `${tenantId}.plugins.log`);
  /** One for each tenant: two would rotate the same files. */
  const logs = new Map<TenantId, AppLog>();
  const gateway = {
    host: ['::', '0.0.0.0'].includes(config.host) ? 'localhost' : config.host,
    port: config.port,
    caFile: folders.caCertificate,
  };
  const host = createPluginHost({
    sandbox: ({ tenantId, digest, place, memoryBytes }, command, streams) =>
      runTask(
        {
          kind: 'plugin',
          owner: tenantId,
          app: pluginsApp,
          digest,
          place,
          limits: { memoryBytes: memoryBytes + ownMemoryBytes, cpus: 1, processes },
        },
        { command, env: {}, withErrors: false, connections: 1 },
        launcher,
        streams,
      ),
    portsOf: ({ runId, tenantId, api, tenant }, signal) => ({
      api: api
        ? createApi(gateway, { url: tenant.url, token: api.token, signal })
        : () => Promise.reject(pluginErrors.FH_PLUGIN_REFUSED()),
      fetch: (url, init) => outgoing.fetch(url, { ...init, signal, maxBytes: longestAnswer, onBehalfOf: tenantId }),
      state: (call) => link.state(runId, call),
    }),
    logOf(tenantId) {
      // A plugin holds no secret of ours that its log could show.
      const log = logs.get(tenantId) ?? createAppLog({ path: pathOf(tenantId), secrets: [], clock: systemClock });
      logs.set(tenantId, log);
      return log;
    },
    clock: systemClock,
  });
  const link = connectToPlugins({
    socketPath: folders.pluginsSocket,
    host,
    readLog: async (tenantId, last) => (await readLogPage(pathOf(tenantId), { last })).lines,
    async removeLog(tenantId) {
      logs.delete(tenantId);
      await removeAppLog(pathOf(tenantId));
    },
    log,
  });
  return {
    async stop() {
      await host.stop();
      await link.close();
    },
  };
}
