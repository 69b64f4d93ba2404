import { chmodSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { type AuditEvent, recordAudit } from '#src/audit/index.ts';
import {
  appLogRoutes,
  appProcessRoutes,
  appRoutes,
  consoleApi,
  healthRoutes,
  pluginRoutes,
  retentionRoutes,
} from '#src/console-api/index.ts';
import { createHttpApp, createHttpMetrics, figuresAsMetrics, mergeMetrics } from '#src/http/index.ts';
import { armFailpoints, systemClock, type TenantId } from '#src/kernel/index.ts';
import { maxPluginBytes } from '#src/plugins/index.ts';
import { appFoldersJob } from './app-folders-job.ts';
import { createBackupApi } from './backup-api.ts';
import { canaryJob } from './canary-job.ts';
import { createChild } from './child.ts';
import { type Config, type Env, parseConfig } from './config.ts';
import { startConsole } from './console.ts';
import { startControlServices } from './control-services.ts';
import { failpointRoutes } from './failpoint-routes.ts';
import { startFileReplication } from './file-replication.ts';
import { createFleet, reportFleet } from './fleet.ts';
import { foldersOf } from './folders.ts';
import { measureHealth } from './health.ts';
import { keyDestruction } from './key-destruction.ts';
import { startMaintenance } from './maintenance.ts';
import { isRoot } from './os-users.ts';
import { createPlugins } from './plugins.ts';
import { privateBackupsJob } from './private-backups-job.ts';
import { loadBuiltPage, loadProgram } from './program.ts';
import { recoveryKitRoutes } from './recovery-kit.ts';
import { readRegionKeys } from './regions.ts';
import { createReleases, releaseWarnings } from './rollouts.ts';
import { controlTarget, readSmtpServer } from './secrets.ts';
import { snapshotExpiry } from './snapshot-expiry.ts';
import { staffLinkRoutes } from './staff-links.ts';
import { measureStandby, sampleStandby } from './standby-health.ts';
import { startBackupsLink } from './tenant-backups.ts';
import { userLinkRoutes } from './user-links.ts';
import { startWatch, type Watch } from './watch.ts';

/** The control process: registry, lifecycle, key store, the console's listener and the command socket. */
export async function runControl(env: Env): Promise<void> {
  const config: Config = parseConfig(env);
  armFailpoints(config.failpoints);
  const folders = foldersOf(config.dataDir);
  const isFenced = isRoot();
  const child = createChild('control', config);
  const { log, shutdown } = child;
  const startedAt = new Date(systemClock.now());

  // What needs root: our own files, a low port, the secret of an external database that root alone may read.
  const program = await loadProgram();
  const page = await loadBuiltPage('console');
  const target = controlTarget(config, env, folders);
  const regionKeys = readRegionKeys(config.regions);
  const smtp = readSmtpServer(env);
  child.drop();

  const services = await startControlServices({ config, folders, child, target, regionKeys, smtp, program });
  const { lifecycle, pool, usage, link, portability, auditLog, tenantUrl, clock, backups, baseBackups } = services;
  const fleet = createFleet(services, program, child);
  const rollouts = createReleases(services, log);
  const metrics = createHttpMetrics();
  metrics.gauge('freehold_gateways', 'Gateway workers that are connected, and that should be.', () => ({
    connected: link.gateways,
    expected: config.workers,
  }));
  const standby = sampleStandby(() => measureStandby(pool, folders, clock), shutdown);
  metrics.gauge('freehold_standby_lag_bytes', 'WAL that the standby of a cluster has not replayed.', () =>
    lagOf(standby()?.lagBytes),
  );
  metrics.gauge(
    'freehold_standby_lag_milliseconds',
    'Age of the oldest commit that the standby has not replayed.',
    () => lagOf(standby()?.lagMs),
  );
  metrics.gauge('freehold_standby_following', '1 while the standby of a cluster follows its primary.', () =>
    lagOf(standby() && Number(standby()?.state === 'following')),
  );
  const backupApi = createBackupApi(services, { standby, child });
  const stopping = new AbortController();
  const apiDeps = {
    lifecycle,
    portability,
    db: pool,
    auditLog,
    tenantUrl,
    fleetReport: () => reportFleet(services, program),
    fleet,
    drift: fleet.drift,
    rollouts,
    standings: services.standings,
    apps: services.apps,
    signal: stopping.signal,
  };
  const plugins = createPlugins({ ...services, folders, log, shutdown });
  let watch: Watch | undefined;
  const healthDeps = {
    health: async () =>
      measureHealth({
        config,
        folders,
        db: pool,
        clock,
        version: program.version,
        gateway: tenantUrl('NAME').replace('NAME.', ''),
        startedAt,
        connectedGateways: () => link.gateways,
        jobs: () => services.jobs.list(),
        checks: services.checks && (() => services.checks!.health()),
        retention: services.retention && (() => services.retention!.health()),
        shipping: backups && (() => backups.shipper.report),
        privateClusters: () => services.privateClusters.sources(),
        appFences: () => services.appProcesses.fences(),
        mailTrouble: () => services.mail.trouble(),
        isFenced,
        watch: [
          ...(watch?.warnings() ?? []),
          ...(await fleet.warnings().catch(() => [])),
          ...(await releaseWarnings(rollouts).catch(() => [])),
          ...(await plugins.warnings().catch(() => [])),
        ],
      }),
    metrics: async () =>
      mergeMetrics([
        await metrics.json(),
        figuresAsMetrics([
          ...(backups?.shipper.report?.figures ?? []),
          ...(services.retention?.figures() ?? []),
          ...(services.checks?.figures() ?? []),
        ]),
        ...(await link.collectMetrics()),
      ]),
  };

  // The command socket: whoever may open it (our own user and root) is the operator.
  const commands = createHttpApp({
    name: 'command',
    log,
    clock,
    metrics,
    hsts: false,
    // An archive that is uploaded takes as long as it takes.
    serverFactory: (handler) => createHttpServer({ requestTimeout: 0 }, handler),
  });
  await commands.register(
    consoleApi({
      ...apiDeps,
      actorOf: (_request: FastifyRequest) => 'os:operator',
      // Whoever may open the socket may do anything to the installation anyway.
      requireStepUp: async () => {},
      confirmSignedIn: async () => {},
    }),
  );
  await commands.register(healthRoutes(healthDeps));
  await commands.register(staffLinkRoutes({ staff: services.staff, config }));
  await commands.register(userLinkRoutes(services));
  await commands.register(appRoutes({ apps: services.apps, actorOf: () => 'os:operator' }));
  await commands.register(
    appProcessRoutes({
      processes: services.appProcesses,
      getTenant: (idOrName) => lifecycle.getTenant(idOrName),
    }),
  );
  const appLogs = {
    processes: services.appProcesses,
    findTenantApp: (tenantId: TenantId) => services.apps.findTenantApp(tenantId),
    getTenant: (idOrName: string) => lifecycle.getTenant(idOrName),
    recordAudit: (event: AuditEvent) => recordAudit(pool, event),
    clock,
  };
  await commands.register(appLogRoutes({ ...appLogs, actorOf: () => 'os:operator', requireStepUp: async () => {} }));
  await commands.register(
    pluginRoutes({ ...plugins.forRoutes, actorOf: () => 'os:operator', maxBytes: maxPluginBytes }),
  );
  if (backups) await commands.register(recoveryKitRoutes(backups));
  if (services.retention) await commands.register(retentionRoutes(services.retention));
  await commands.register(backupApi);
  if (config.failpoints) await commands.register(failpointRoutes);
  rmSync(folders.commandSocket, { force: true });
  await commands.listen({ path: folders.commandSocket });
  chmodSync(folders.commandSocket, 0o600);
  shutdown.add('command socket', 5_000, () => commands.close());

  const { setupUrl } = await startConsole({
    config,
    folders,
    services,
    page,
    apiDeps,
    appLogs,
    healthDeps,
    backupApi,
    metrics,
    child,
  });

  if (backups) {
    await backups.shipper.start();
    shutdown.add('link to the shipper', 5_000, () => backups.shipper.stop());
    backups.start();
    baseBackups?.schedule();
    services.backupCopies?.schedule();
    services.dumps?.schedule();
    await services.retention?.schedule();
    services.checks?.schedule();
    services.jobs.add(canaryJob({ pool, report: () => backups.shipper.report }));
    if (services.replicator) startFileReplication({ replicator: services.replicator, pool, clock, log, shutdown });
  }
  services.jobs.add(privateBackupsJob(services.privateClusters, log));
  await startBackupsLink(services, folders, child);
  await link.start();
  shutdown.add('link to gateways', 5_000, () => link.stop());
  await services.appProcesses.start();
  shutdown.add('link to the keeper of apps', 5_000, () => services.appProcesses.stop());
  await plugins.start();
  // Stops before the links: a running step may still have to tell the gateways, or to end an app.
  shutdown.add('lifecycle', 25_000, async () => {
    stopping.abort();
    const released = rollouts.stop();
    await lifecycle.stop();
    await released;
    await usage.stop();
  });
  void services.privateClusters.openAll();
  const resumed = await lifecycle.resumeAll();
  if (resumed > 0) log.warn('lifecycle operations go on where they were interrupted', { operations: resumed });
  // Beside everything else: a tenant is served at its old schema until its turn has come.
  await fleet.resume().catch((error) => log.error('the fleet could not be looked at for migrations', { error }));
  await services.apps.start();
  await rollouts.resumeAll().catch((error) => log.error('releases could not be looked at', { error }));
  await services.mail.start();
  services.jobs.add(keyDestruction(lifecycle));
  services.jobs.add(snapshotExpiry(lifecycle));
  services.jobs.add(appFoldersJob({ processes: services.appProcesses, log }));
  startMaintenance({ services, log, shutdown });
  lifecycle.startPool();
  usage.start();
  const recoveryKit = await backups?.makeFirstKit().catch((error) => {
    log.warn('no recovery kit could be made yet', { error });
    return undefined;
  });
  watch = startWatch({
    health: healthDeps.health,
    heartbeatUrl: config.heartbeatUrl,
    beat: child.beat,
    clock,
    log,
    shutdown,
  });
  child.ready({
    ...(recoveryKit ? { recoveryKit } : {}),
    caCertificate: services.authority.certificatePem,
    ...(setupUrl ? { setupUrl } : {}),
  });
}

/** By cluster; nothing while it is not known. */
function lagOf(figure: number | undefined): Record<string, number> {
  return figure === undefined ? {} : { main: figure };
}
