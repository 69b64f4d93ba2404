import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '#src/kernel/index.ts';
import { createLauncher, findControlGroups, type LaunchRequest, removeLeftGroups } from '#src/processes/index.ts';
import type { Config } from './config.ts';
import { type Folders, foldersOfCluster } from './folders.ts';
import { type Calls, createCalls } from './ipc-calls.ts';
import type { OsUsers } from './os-users.ts';
import { freehold } from './self.ts';

export interface AppLauncher {
  /** Answers this keeper from now on; what an earlier one had started is ended first. */
  serve(keeper: ChildProcess): void;
  /** Ends every app, and what bounded them. */
  stop(): Promise<void>;
}

/** The supervisor's side of apps that are processes: the keeper asks, over the channel to its parent, and nobody else can. */
export async function createAppLauncher(of: {
  readonly config: Config;
  readonly folders: Folders;
  readonly users: OsUsers | undefined;
  readonly programDir: string;
  readonly log: Log;
}): Promise<AppLauncher> {
  const { folders, users, log } = of;
  // Of this installation, and of no other on this machine.
  const parent = `freehold-${folders.run.replace(/[^a-z0-9]+/gi, '-').slice(-60)}`;
  const groups = await findControlGroups(parent);
  if (groups) await removeLeftGroups(groups, parent);
  let calls: Calls | undefined;
  const launcher = createLauncher({
    bubblewrap: findBubblewrap(),
    users: users && {
      keeper: users.apps,
      gatewayGid: users.gateway.gid,
      controlUid: users.control.uid,
      sharedGid: users.sharedGid,
    },
    node: freehold.node,
    doorProgram: join(of.programDir, 'src/processes/door.ts'),
    pluginProgram: join(of.programDir, 'src/plugins/runner.ts'),
    appsDir: folders.apps,
    dataDir: folders.appData,
    runDir: folders.sandboxes,
    socketFoldersOf(cluster) {
      if (of.config.externalDatabase) return [];
      const own = foldersOfCluster(folders, cluster);
      return [own.databaseSocket, own.clusterSocket, own.standbySocket];
    },
    authorityFile: folders.caCertificate,
    groups,
    // A keeper that is gone needs to know nothing.
    onEnded: (sandboxId) => void calls?.call('ended', [sandboxId], 10_000).catch(() => undefined),
    log,
  });
  return {
    serve(keeper) {
      const ready = launcher.killAll();
      const afterwards =
        <P extends unknown[], T>(act: (...params: P) => Promise<T>) =>
        async (...params: P): Promise<T> => {
          await ready;
          return act(...params);
        };
      calls = createCalls(keeper, {
        fences: async () => launcher.fences,
        prepare: afterwards((request: LaunchRequest) => launcher.prepare(request)),
        launch: afterwards((request: LaunchRequest) => launcher.launch(request)),
        kill: afterwards((sandboxId: number) => launcher.kill(sandboxId)),
        clear: afterwards((request: LaunchRequest) => launcher.clear(request)),
        finishBuild: afterwards((app: string, digest: string) => launcher.finishBuild(app, digest)),
        removeVersion: afterwards((app: string, digest: string) => launcher.removeVersion(app, digest)),
        hasData: afterwards((tenantId: string) => launcher.hasData(tenantId)),
        finishData: afterwards((tenantId: string) => launcher.finishData(tenantId)),
        measureData: afterwards((tenantId: string) => launcher.measureData(tenantId)),
        removeData: afterwards((tenantId: string) => launcher.removeData(tenantId)),
      });
    },
    async stop() {
      await launcher.killAll();
      await groups?.close();
    },
  };
}

export function findBubblewrap(): string | undefined {
  return ['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap'].find((path) => existsSync(path));
}
