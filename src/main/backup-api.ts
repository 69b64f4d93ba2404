import type { FastifyInstance } from 'fastify';
import {
  backupRoutes,
  dumpRoutes,
  lagRoutes,
  restorePointRoutes,
  type StandbyHealth,
  verificationRoutes,
} from '#src/console-api/index.ts';
import { allBaseBackups } from './all-base-backups.ts';
import type { Child } from './child.ts';
import type { ControlServices } from './control-services.ts';
import { createLagHistory, keepLagHistory } from './lag-history.ts';

/** Routes about copies, backups and moments, for the console's listener and for the command socket. */
export function createBackupApi(
  services: ControlServices,
  { standby, child }: { readonly standby: () => StandbyHealth | undefined; readonly child: Child },
): (app: FastifyInstance) => Promise<void> {
  const { backups, baseBackups, checks, dumps, restorePoints, clock } = services;
  const history = createLagHistory(clock);
  keepLagHistory(history, { standby, shipping: () => backups?.shipper.report }, child.shutdown);
  const lag = (spanMs: number) => {
    const { series, ...times } = history.read(spanMs);
    return { ...times, clusters: [{ name: 'main', series }] };
  };
  return async (app) => {
    await app.register(lagRoutes({ lag }));
    if (baseBackups) await app.register(backupRoutes(allBaseBackups(baseBackups, services.privateClusters)));
    if (dumps) await app.register(dumpRoutes(dumps));
    if (checks) await app.register(verificationRoutes(checks));
    if (restorePoints) await app.register(restorePointRoutes(restorePoints));
  };
}
