import { armFailpoints, systemClock } from '#src/kernel/index.ts';
import {
  type AppFences,
  connectToSpecs,
  createKeeper,
  type LaunchRequest,
  openBackChannel,
  startKeeperLink,
} from '#src/processes/index.ts';
import { createChild } from './child.ts';
import { type Config, type Env, parseConfig } from './config.ts';
import { foldersOf } from './folders.ts';
import { createCalls } from './ipc-calls.ts';
import { outgoingOf } from './outgoing.ts';
import { startPluginHost } from './plugin-host.ts';

const idleCheckMs = 1_000;
const launchDeadlineMs = 30_000;

/** The keeper of apps that are processes: who is awake. It holds the environment of those that are, and no key. */
export async function runAppsKeeper(env: Env): Promise<void> {
  const config: Config = parseConfig(env);
  armFailpoints(config.failpoints);
  const folders = foldersOf(config.dataDir);
  const child = createChild('apps', config);
  const { log, shutdown } = child;
  const outgoing = outgoingOf(config, log);
  child.drop();
  // Sockets for gateways; what else we write is for nobody.
  process.umask(0o077);

  const endings = new Map<number, () => void>();
  const early = new Set<number>();
  const calls = createCalls(process, {
    ended: async (sandboxId: number) => {
      const heard = endings.get(sandboxId);
      // The news may overtake the answer that says whose it is.
      if (heard) heard();
      else early.add(sandboxId);
    },
  });
  const ask = <T>(method: string, ...params: unknown[]) => calls.call<T>(method, params, launchDeadlineMs);
  const launcher = {
    fences: () => ask<AppFences>('fences'),
    prepare: (request: LaunchRequest) => ask<{ folder: string }>('prepare', request),
    async launch(request: LaunchRequest) {
      const { sandboxId } = await ask<{ sandboxId: number }>('launch', request);
      const ended = early.delete(sandboxId)
        ? Promise.resolve()
        : new Promise<void>((resolve) => endings.set(sandboxId, resolve)).then(() => {
            endings.delete(sandboxId);
          });
      return { sandboxId, ended };
    },
    kill: (sandboxId: number) => ask<void>('kill', sandboxId),
    clear: (request: LaunchRequest) => ask<void>('clear', request),
    finishData: (tenantId: string) => ask<void>('finishData', tenantId),
    removeData: (tenantId: string) => ask<void>('removeData', tenantId),
    finishBuild: (app: string, digest: string) => ask<void>('finishBuild', app, digest),
    removeVersion: (app: string, digest: string) => ask<void>('removeVersion', app, digest),
  };

  const specs = connectToSpecs({
    socketPath: folders.appSpecsSocket,
    keeper: () => keeper,
    streamsPath: folders.appStreamsSocket,
    launcher,
    log,
  });
  const keeper = createKeeper({
    launcher,
    specOf: (tenantId) => specs.specOf(tenantId),
    migrated: (tenantId, version) => specs.migrated(tenantId, version),
    hasFolder: (tenantId) => ask<boolean>('hasData', tenantId),
    layOut: (tenantId) => specs.layOut(tenantId),
    keepFolder: (tenantId) => specs.keepFolder(tenantId),
    letGo: (tenantId, instanceId) => link.letGo(tenantId, instanceId),
    isLeft: (instanceId) => link.isLeft(instanceId),
    tellEnded: (tenantId, instanceId) => link.tellEnded(tenantId, instanceId),
    openBackChannel: (sandboxFolder, caller) =>
      openBackChannel(caller, { sandboxFolder, gatewaysFolder: folders.backChannel, clock: systemClock, log }),
    logDir: folders.appLogs,
    room: { memoryBytes: config.appsMemoryBytes, connections: config.appsConnections },
    measureFolder: (tenantId) => ask<number | undefined>('measureData', tenantId),
    clock: systemClock,
    log,
  });
  const plugins = startPluginHost({ config, folders, outgoing, launcher, log });
  const link = startKeeperLink({ socketPath: folders.appsSocket, keeper, log });
  await link.start();
  shutdown.add('link to control', 2_000, () => specs.close());
  shutdown.add('plugins', 5_000, () => plugins.stop());
  shutdown.add('link to gateways', 2_000, () => link.stop());
  shutdown.add('apps', 12_000, () => keeper.stop());
  const timer = setInterval(() => {
    void keeper.sleepIdle().catch((error) => log.error('idle apps could not be put to sleep', { error }));
    void keeper.watchFolders().catch((error) => log.error('folders of apps could not be measured', { error }));
  }, idleCheckMs);
  shutdown.add('watch over apps', 1_000, async () => clearInterval(timer));
  child.ready({});
}
