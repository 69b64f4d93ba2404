import { controlAuditLog, recordAudit } from '#src/audit/index.ts';
import { createRetentionHolds } from '#src/backups/index.ts';
import { checkExternalServer, findBinaries } from '#src/clusters/index.ts';
import {
  createDatabaseAdmin,
  createPlacedAdmin,
  createTenantDatabases,
  describeCondition,
  migrate,
} from '#src/databases/index.ts';
import { type ControlPort, createControlLink } from '#src/gateway/index.ts';
import { systemClock, type TenantId } from '#src/kernel/index.ts';
import { createLocalAuthority, openKeyStore } from '#src/keys/index.ts';
import type { SmtpServer } from '#src/mail/index.ts';
import { createPortability } from '#src/portability/index.ts';
import { createPool } from '#src/postgres/index.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';
import { createStandings, createTrafficBook, noteWritten } from '#src/releases/index.ts';
import { createStaff } from '#src/staff/index.ts';
import {
  createControlDirectory,
  createTenantLifecycle,
  createTenantUsage,
  requireAllResidencies,
} from '#src/tenants/index.ts';
import { createAppServices } from './app-services.ts';
import { createBackupCopies } from './backup-copies.ts';
import { createBackupServices } from './backup-services.ts';
import { createBackupWork } from './backup-work.ts';
import { createBaseBackups } from './base-backups.ts';
import { createCanaries } from './canaries.ts';
import { createCertificateDesk } from './certificate-desk.ts';
import type { Child } from './child.ts';
import type { Config } from './config.ts';
import { createDatabasesPort } from './databases-port.ts';
import { createDemoHosting } from './demo-hosting.ts';
import { seedDemoTenant } from './demo-users.ts';
import { createFileServices } from './file-services.ts';
import type { Folders } from './folders.ts';
import { createJobs } from './jobs.ts';
import { holdLeadership } from './leadership.ts';
import { createFirstInvitations, createMailServices } from './mail-services.ts';
import { openPrivateClusters } from './open-private-clusters.ts';
import { passwordRulesOf } from './password-list.ts';
import { createPlacedRestores } from './placed-restores.ts';
import { placesOf } from './places.ts';
import { keepingOf, type Program } from './program.ts';
import type { RegionKeys } from './regions.ts';
import { createRestorePoints } from './restore-points.ts';
import { holdWhileRestoring } from './retention-holds.ts';
import { readReplicationTarget } from './secrets.ts';
import { createTenantReaders } from './tenant-readers.ts';
import { createTenantRestores } from './tenant-restores.ts';
import { databaseTargets, tenantTargetOf } from './tenant-target.ts';

const poolSize = 12;
/** Control's own reach into tenants' databases: exports, invitations, demo data. */
const lifecycleBackends = 10;

export type ControlServices = Awaited<ReturnType<typeof startControlServices>>;

/** Opens the key store, becomes leader, brings the control database forward and wires the lifecycle of tenants to what carries it out. */
export async function startControlServices({
  config,
  folders,
  child,
  target,
  regionKeys,
  smtp,
  program,
}: {
  config: Config;
  folders: Folders;
  child: Child;
  target: ConnectionTarget;
  regionKeys: RegionKeys;
  smtp: SmtpServer | undefined;
  program: Program;
}) {
  const { log, shutdown } = child;
  const clock = systemClock;
  const authority = await createLocalAuthority(folders.authority, { domain: config.domain, clock });

  if (config.externalDatabase) await checkExternalServer(target);
  const pool = createPool(target, { max: poolSize, applicationName: 'freehold control' });
  shutdown.add('control database', 10_000, () => pool.stop());
  await holdLeadership({ target, shutdown, isOnlyControl: !config.externalDatabase, log });
  // Only the leader: opening finishes what a crash interrupted.
  const ownKeys = await openKeyStore(folders.keys);
  await migrate(target, { schema: 'public', folder: program.controlMigrations });
  await requireAllResidencies(pool, placesOf(config));
  const jobs = createJobs({ db: pool, clock, log, shutdown });
  const backups =
    config.backups === 'on' && !config.externalDatabase
      ? await createBackupServices({ config, regionKeys, folders, pool, keys: ownKeys, clock, log, shutdown })
      : undefined;
  const keys = backups?.keys ?? ownKeys;
  const sealingKeys = backups ? { ...ownKeys, currentKey: backups.currentKey } : ownKeys;
  const binaries = await findBinaries({ binDir: config.pgBinDir });
  const canaries = backups && createCanaries({ pool, report: () => backups.shipper.report });
  const retentionHolds = createRetentionHolds();
  const baseBackups =
    backups &&
    createBaseBackups({
      backups,
      binaries,
      target: () => readReplicationTarget(folders, 'control'),
      pool,
      keys: sealingKeys,
      canaries: canaries!,
      holds: retentionHolds,
      jobs,
      clock,
      log,
      shutdown,
    });

  const backupCopies =
    backups &&
    createBackupCopies({
      clusterId: backups.clusterId,
      regions: backups.regions,
      keys: ownKeys,
      holds: retentionHolds,
      db: pool,
      jobs,
      log,
    });

  const privateClusters = openPrivateClusters({
    config,
    folders,
    program,
    backups,
    binaries,
    pool,
    keys: sealingKeys,
    holds: retentionHolds,
    jobs,
    restoreOptions: () => restoreOptions(),
    clock,
    log,
    shutdown,
  });
  const admin = createPlacedAdmin({
    main: createDatabaseAdmin({ pool, target, log }),
    find: (cluster) => privateClusters.find(cluster),
    list: () => privateClusters.list(),
  });
  const directory = createControlDirectory({
    db: pool,
    keys,
    serverOf: (databaseName) => admin.serverOf(databaseName),
    domain: config.domain,
    log,
  });
  const databases = createTenantDatabases({
    directory: directory.forLifecycle,
    budget: lifecycleBackends,
    applicationName: 'freehold control',
    perTenantMax: 4,
    statementTimeoutMs: 600_000,
    lockTimeoutMs: 10_000,
    waitTimeoutMs: 30_000,
    log,
    clock,
  });
  shutdown.add('tenant databases', 10_000, () => databases.stop());

  const filesKeyOf = async (tenantId: TenantId) => (await directory.forLifecycle.getAccess(tenantId)).filesKey;
  const { replicator, keepFile, vault } = await createFileServices({
    folders,
    databases,
    backups,
    keys,
    pool,
    clock,
    log,
  });
  const { kindOf, foldersOfApp } = keepingOf(program);
  const openReader = createTenantReaders({ pool, databases: admin, directory: directory.forLifecycle });
  const portability = createPortability({
    binaries,
    exportsFolder: folders.exports,
    vault,
    openTarget: (tenantId, role) => tenantTargetOf(directory.forLifecycle, tenantId, role),
    ...databaseTargets(admin),
    kindOf,
    appVersion: (name) => program.apps.find((app) => app.manifest.name === name)?.manifest.version ?? '0',
    createdBy: `freehold ${program.version}`,
    clock,
  });
  const tenantUrl = (name: string): string =>
    `https://${name}.${config.domain}${config.publicPort === 443 ? '' : `:${config.publicPort}`}`;

  const restoreOptions = () => ({
    binaries,
    keys: ownKeys,
    portability,
    vault,
    replicator,
    migrationsOf: foldersOfApp,
    scratchFolder: folders.scratch,
    clock,
    log,
  });
  const mainRestores =
    backups &&
    createTenantRestores({
      ...restoreOptions(),
      backups,
      pool,
      control: target,
      ...(canaries && { canaries }),
    });
  await mainRestores?.sweep();
  const restores = mainRestores && createPlacedRestores({ main: mainRestores, db: pool, clusters: privateClusters });
  const work =
    backups &&
    (await createBackupWork({
      config,
      folders,
      backups,
      privateClusters,
      binaries,
      target,
      pool,
      keys: { own: ownKeys, sealing: sealingKeys },
      canaries: canaries!,
      baseBackups: baseBackups!,
      holds: retentionHolds,
      openReader,
      vault,
      jobs,
      clock,
      log,
      shutdown,
    }));

  const getTenant = (tenantId: TenantId) => lifecycle.getTenant(tenantId);
  const { apps, appProcesses } = await createAppServices({
    folders,
    program,
    pool,
    databases,
    directory,
    getTenant,
    tenantUrl,
    filesKeyOf,
    keepFile,
    replicator,
    clock,
    log,
    shutdown,
  });
  const databasesPort = createDatabasesPort({
    admin,
    foldersOfApp,
    connectionLimitOf: (name) => apps.findConnectionLimit(name),
    roomIn: config.externalDatabase ? undefined : folders.data,
  });

  const findRoute = (host: string) => orUnavailable(directory.findRoute(host));
  const traffic = createTrafficBook();
  const standings = createStandings({ db: pool });
  const port: ControlPort = {
    findRoute,
    getAccess: (tenantId) => orUnavailable(directory.getAccess(tenantId)),
    findCertificate: createCertificateDesk({ authority, domain: config.domain, findRoute }),
    recordUse: (tenantIds) => usage.recordUse(tenantIds),
    noteWritten: (tenantId) => noteWritten(pool, tenantId, new Date(clock.now())),
    recordTraffic: (reports) => reports.forEach(traffic.add),
    queueMail: (tenantId, order) => mail.outbox.queue(tenantId, order),
    keepFile,
  };
  // The folder is entered only by control and the gateways; within it the mode need not tell them apart.
  const link = createControlLink({ socketPath: folders.linkSocket, mode: 0o666, port, log });

  const hosting = await createDemoHosting({
    program,
    folders,
    databases,
    accessOf: (tenantId) => directory.forLifecycle.getAccess(tenantId),
    filesKeyOf,
    keepInRegions: keepFile,
    tenantUrl,
    clock,
    log,
  });

  const notifyGateways = async (tenantId: TenantId): Promise<void> => {
    await privateClusters.mirror(tenantId);
    await databases.evict(tenantId);
    await directory.changed(tenantId);
    await link.tenantChanged(tenantId);
    // After the gateways: none of them passes anything on any more.
    await appProcesses.recheck(tenantId);
  };
  const hostOf = (name: string) => `${name}.${config.domain}`;
  const usage = createTenantUsage({ db: pool, databases: databasesPort, clock, log });
  const lifecycle = createTenantLifecycle({
    db: pool,
    keys,
    recordAudit,
    clock,
    log,
    databases: databasesPort,
    ...(privateClusters.port && { privateServers: privateClusters.port }),
    identity: createFirstInvitations(
      databases,
      { queue: (...order) => mail.outbox.queue(...order), withdraw: (...kind) => mail.outbox.withdraw(...kind) },
      log,
    ),
    files: vault,
    portability,
    appVersions: apps.forTenants,
    appProcesses: appProcesses.forTenants,
    recoveryPoints: {
      hasRegions: backups !== undefined,
      set: (name, point) => admin.setCommitWaits(name, point === 'zero'),
      endSessions: (name, openedBefore) => admin.endSessions(name, openedBefore),
    },
    ...(restores && { restores: holdWhileRestoring(restores, retentionHolds) }),
    notifyGateways,
    fillDemo: (...which) => seedDemoTenant({ folders, databases, hosting, getTenant, hostOf }, ...which),
    settings: {
      apps: program.apps.map((app) => app.manifest.name),
      defaultApp: program.apps[0]!.manifest.name,
      tenantUrl,
      deletionGraceDays: config.deletionGraceDays,
      places: placesOf(config),
    },
    preparedDatabases: config.preparedDatabases,
  });

  const restorePoints =
    backups &&
    createRestorePoints({
      clusterId: backups.clusterId,
      regions: backups.regions,
      keys: ownKeys,
      shipping: () => backups.shipper.report,
      lifecycle,
      db: pool,
      clock,
      log,
    });

  const mail = createMailServices({ smtp, folders, db: pool, keys, lifecycle, tenantUrl, jobs, clock, log, shutdown });
  const staff = createStaff({
    db: pool,
    sessionKey: await keys.deriveInstallationKey('staff-session'),
    factorsKey: await keys.deriveInstallationKey('staff-factors'),
    log,
    rules: passwordRulesOf(config),
  });

  return {
    staff,
    apps,
    appProcesses,
    traffic,
    standings,
    mail,
    jobs,
    backups,
    baseBackups,
    backupCopies,
    checks: work?.checks,
    dumps: work?.dumps,
    retention: work?.retention,
    retentionHolds,
    restorePoints,
    places: placesOf(config),
    replicator,
    vault,
    keys,
    authority,
    pool,
    admin,
    privateClusters,
    directory,
    databases,
    portability,
    lifecycle,
    usage,
    link,
    auditLog: controlAuditLog,
    tenantUrl,
    clock,
  };
}

/** A control database that is away is no fault of the gateway's request. */
function orUnavailable<T>(asked: Promise<T>): Promise<T> {
  return asked.catch((error) => {
    throw describeCondition(error);
  });
}
