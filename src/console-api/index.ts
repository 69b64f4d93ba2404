/**
 * console-api: the routes of the console, one file per resource. The same routes answer staff in a browser (console listener) and the
 * command line (command socket); who asks comes from `actorOf`, and signing in is a hook of the listener, not of the routes.
 * Invariants: every body and query is refused unless its schema knows each field; every change is an operation of the lifecycle;
 * what cannot be taken back needs the tenant's name as confirmation.
 */
import type { FastifyInstance } from 'fastify';
import type { ConsoleApiDeps } from './api.ts';
import { archiveRoutes } from './archives.ts';
import { migrationRoutes } from './migrations.ts';
import { operationRoutes } from './operations.ts';
import { recordRoutes } from './records.ts';
import { releaseRoutes } from './releases.ts';
import { tenantRoutes } from './tenants.ts';

export type { ConsoleApiDeps, FleetReport, Started } from './api.ts';
export { type AppLogDeps, type AppStateView, appLogRoutes } from './app-logs.ts';
export { type AppProcessDeps, type AppProcessView, appProcessRoutes } from './app-processes.ts';
export { type AppDeps, type AppVersionView, appRoutes } from './apps.ts';
export { type BackupDeps, type BackupList, type BackupRun, type BackupView, backupRoutes } from './backups.ts';
export {
  type DumpDeps,
  type DumpedTenant,
  type DumpOverview,
  type DumpOverviewQuery,
  type DumpRunView,
  type DumpStanding,
  type DumpView,
  dumpRoutes,
  type TenantDumps,
} from './dumps.ts';
export { consoleErrors } from './errors.ts';
export {
  type ChecksHealth,
  type ClusterHealth,
  type Health,
  type HealthDeps,
  type HealthWarning,
  healthRoutes,
  type JobView,
  type PrivateServerChecks,
  type RecoveryTimeHealth,
  type RegionChecks,
  type RetentionHealth,
  type ShippingHealth,
  type StandbyHealth,
  type SuspectBackup,
} from './health.ts';
export { type LagDeps, type LagSeries, type LagView, lagRoutes } from './lag.ts';
export { type MailDeps, type MailView, mailRoutes } from './mail.ts';
export type { DriftView, FleetRunView } from './migrations.ts';
export { type PluginDeps, type PluginView, pluginRoutes } from './plugins.ts';
export type { ReleasableApp, ReleaseView } from './releases.ts';
export {
  type NamedPoint,
  type RegionMoments,
  type RestorePointDeps,
  type RestorePoints,
  restorePointRoutes,
} from './restore-points.ts';
export {
  type RetentionDeps,
  type RetentionRegionView,
  type RetentionRunView,
  type RetentionShareView,
  retentionRoutes,
} from './retention.ts';
export { createSignedIn, type SignedIn } from './signed-in.ts';
export {
  type Checked,
  type CheckRun,
  type DrillRun,
  type DrillView,
  type Finding,
  type VerificationDeps,
  type VerificationRequest,
  type VerificationRun,
  type VerificationView,
  verificationRoutes,
} from './verifications.ts';
export { archiveRoutes, operationRoutes, recordRoutes, tenantRoutes };

/** All routes of tenants and operations. Register inside a scope whose hooks decide who may come in. */
export function consoleApi(deps: ConsoleApiDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    await app.register(tenantRoutes(deps));
    await app.register(operationRoutes(deps));
    await app.register(archiveRoutes(deps));
    await app.register(recordRoutes(deps));
    await app.register(migrationRoutes(deps));
    await app.register(releaseRoutes(deps));
  };
}
