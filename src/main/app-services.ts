import { recordAudit } from '#src/audit/index.ts';
import type { Clock, Log } from '#src/kernel/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import { type AppInstaller, type AppRegistry, createAppRegistry, releaseErrors } from '#src/releases/index.ts';
import type { Folders } from './folders.ts';
import type { Program } from './program.ts';
import type { Shutdown } from './shutdown.ts';

/** Versions of apps that run as processes. `start` once the control database is up to date. */
export function createAppServices(of: {
  readonly folders: Folders;
  readonly program: Program;
  readonly pool: Pool;
  readonly installer?: AppInstaller;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}): AppRegistry {
  const { folders, program, pool, installer = missingInstaller, clock, log, shutdown } = of;
  const apps = createAppRegistry({
    db: pool,
    incomingFolder: folders.appsIncoming,
    ownApps: program.apps.map((app) => app.manifest.name),
    installer,
    recordAudit,
    clock,
    log,
  });
  shutdown.add('builds of apps', 2_000, () => apps.stop());
  return apps;
}

/** Until there is one that builds in a sandbox: nothing is built without fences. */
const missingInstaller: AppInstaller = {
  install: async () => {
    throw releaseErrors.FH_APP_INSTALLER_MISSING();
  },
  remove: async () => {},
};
