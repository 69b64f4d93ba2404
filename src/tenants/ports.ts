import type { RecordAudit } from '#src/audit/types.ts';
import type { Clock, Log, OperationId, TenantId } from '#src/kernel/index.ts';
import type { KeyStore } from '#src/keys/types.ts';
import type { Queryable, ServerAuthorities } from '#src/postgres/types.ts';
import type { Places } from './residency.ts';
import type { OperationProgress, RecoveryPoint, RestoreMoment, Tenant, WantedMoment } from './types.ts';

/** The control database. */
export interface ControlDatabase extends Queryable {
  /** One read-write transaction: committed when `fn` returns, rolled back when it throws. */
  transaction<T>(fn: (tx: Queryable) => Promise<T>): Promise<T>;
}

/** What a lifecycle needs of the server that holds tenants' databases. Every method may be called again after a crash. */
export interface DatabasesPort {
  /** A new opaque name of a database on this server; nothing is made. Everything below finds the server by the name. */
  newDatabaseName(cluster?: string): string;
  /** The app's template at its newest version on this server: made when it is missing, remembered afterwards. */
  ensureTemplate(app: string, cluster?: string): Promise<{ readonly template: string; readonly version: string }>;
  /** Makes the database and its two roles, closed (NOLOGIN). Completes what a crash left half-made. */
  createDatabase(name: string, options: { template: string }): Promise<void>;
  /** Brings it to the newest migrations of its app, and fails unless it is there. */
  migrateDatabase(name: string, app: string): Promise<void>;
  /** Sets the passwords and lets both roles in. */
  openDatabase(name: string, passwords: { appPassword: string; platformPassword: string }): Promise<void>;
  /** Lets nobody in (NOLOGIN) and ends every connection; returns when none is left. */
  closeDatabase(name: string): Promise<void>;
  /** Copies a closed database; makes the copy's own roles, closed. */
  cloneDatabase(from: string, to: string): Promise<void>;
  /** Removes the database and its roles; does nothing when they are gone. */
  dropDatabase(name: string): Promise<void>;
  databaseSize(name: string): Promise<number>;
  /** The server that a name says: `main`, or one of its own. */
  clusterOf(name: string): string;
}

/** How gateways reach a server. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: 'off' | 'verify-full';
  readonly ca?: ServerAuthorities;
}

/** PostgreSQL servers that are there for one tenant of the Private Cloud edition, its clones and what is restored of it. */
export interface PrivateServersPort {
  /** A new opaque name; nothing is made. */
  newName(): string;
  /** Makes the server and its standby when they are not there, and resolves when the server takes connections. */
  make(cluster: string): Promise<void>;
  /** Ends the server and its standby and removes everything of theirs from this machine. Does nothing when they are gone. */
  remove(cluster: string): Promise<void>;
}

export interface IdentityPort {
  /** Invites the first administrator as owner. A second call replaces the first, so that exactly one link is good. */
  createInvitation(
    tenantId: TenantId,
    invitee: { email: string; role: 'owner' },
  ): Promise<{ token: string; expiresAt: Date }>;
  /** Removes sessions, invitations, reset tokens and whatever else must not live on in a copy. */
  stripClone(tenantId: TenantId): Promise<void>;
}

export interface FilesPort {
  /** Seals every content of `from` again for `to`, whose database holds the same rows. @returns how many */
  copyTenantFiles(from: TenantId, to: TenantId): Promise<number>;
  /** Removes everything of the tenant; needs neither database nor key. */
  removeTenantFiles(tenantId: TenantId): Promise<void>;
}

/** Moving a tenant's data out of and into an archive. */
export interface PortabilityPort {
  /** Writes the archive under this name in the exports folder; whole or not at all. */
  exportArchive(
    tenant: Tenant,
    fileName: string,
    onProgress: OnProgress,
  ): Promise<{ sizeBytes: number; sha256: string; contentHash: string }>;
  /** Loads an archive that was inspected before into the tenant's fresh database, and compares the content. */
  importArchive(tenant: Tenant, archivePath: string, onProgress: OnProgress): Promise<{ contentHash: string }>;
  /**
   * Brings everything that is in the closed database `from` to the open and new database `to`, which may be on another server, and compares the two: also what no
   * archive has, so that nobody is signed out. Files stay where they are. @returns the digest of both
   */
  copyContent(
    tenant: Tenant,
    between: {
      readonly from: string;
      readonly to: string;
      /** Of the roles of `to`. */
      readonly passwords: { readonly appPassword: string; readonly platformPassword: string };
    },
    onProgress: OnProgress,
  ): Promise<{ contentHash: string }>;
  /** Removes the archive that an import read (it was uploaded for this one use). */
  removeUpload(archivePath: string): Promise<void>;
  /** Removes finished exports of the tenant. */
  removeExports(tenantId: TenantId): Promise<{ files: number; bytes: number }>;
  /** What a tenant holds, for the deletion certificate. */
  inventory(tenant: Tenant): Promise<TenantInventory>;
}

export interface TenantInventory {
  readonly tables: number;
  readonly rows: number;
  /** Hex; equal for two databases with the same content. */
  readonly contentHash: string;
  /** Distinct contents and their bytes before sealing. */
  readonly files: number;
  readonly fileBytes: number;
}

/** Tenants as they were. */
export interface RestorePort {
  /**
   * Whose database, and which moment of it, is meant. A name means who had it then, and who has it now.
   * FH_TENANT_NOT_FOUND; FH_RESTORE_AMBIGUOUS when that is more than one; FH_RESTORE_MOMENT_INVALID when there was no such event.
   */
  findSource(
    idOrName: string,
    moment: WantedMoment,
  ): Promise<{ readonly tenantId: TenantId; readonly moment: RestoreMoment }>;
  /**
   * Recovers the tenant's database to the moment on a server of its own and writes it as an archive for `importArchive`: whole or not at all, brought to
   * the newest migrations, under a name that belongs to the operation, so that another attempt replaces it. The tenant itself is not touched. Besides the archive
   * nothing is left when this resolves or rejects.
   * @returns lastCommitAt: of the last transaction that was replayed; undefined: none since the base backup
   */
  recoverArchive(
    request: { readonly tenant: Tenant; readonly moment: RestoreMoment; readonly operationId: OperationId },
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<{ archivePath: string; lastCommitAt: Date | undefined }>;
  /** Brings the tenant's files to a region, so that a restore finds them when they are gone here. Rejects unless one has them all. */
  keepFiles(tenantId: TenantId): Promise<void>;
  /** Does nothing when there is none. */
  removeArchive(operationId: OperationId): Promise<void>;
}

/** Apps that run as processes, at versions that were added (docs/decisions/0038). */
export interface AppVersionsPort {
  /** Apps with a ready version. */
  listApps(db: Queryable): Promise<string[]>;
  /**
   * The version that a new tenant is to run: `preferred` when it is ready, otherwise the newest ready one; undefined: the app has none. It cannot be removed
   * before the transaction ends.
   */
  pinVersion(tx: Queryable, app: string, preferred?: string): Promise<string | undefined>;
  /** The tenant runs this version of its app from its next start on. FH_APP_VERSION_STATE unless it is ready, FH_APP_NOT_FOUND. */
  assign(tx: Queryable, tenantId: TenantId, version: string): Promise<void>;
  /** A person has chosen its version: releases pass it over. */
  hold(tx: Queryable, tenantId: TenantId): Promise<void>;
}

/** Apps that run as processes, where they touch the life of a tenant. Nothing happens for tenants of other apps. */
export interface AppProcessesPort {
  /** Starts it, also before the tenant is open to anybody. FH_APP_FAILED with its last words when it does not become healthy. */
  start(tenantId: TenantId): Promise<void>;
  /** Ends it at once. */
  evict(tenantId: TenantId): Promise<void>;
  /**
   * Ends it and keeps its folder as it is then. Unless it must be kept, what cannot be is told in the log, and stays where it is. Where it must, requests that
   * the app has come to their end first.
   */
  settle(tenantId: TenantId, options: { readonly mustKeep: boolean }): Promise<void>;
  /** Keeps its folder as it is, whether it runs or not. */
  keepFolder(tenantId: TenantId): Promise<void>;
  /** Removes its folder and its log from this machine. */
  remove(tenantId: TenantId): Promise<void>;
}

/** Which commits wait until every region holds them. */
export interface RecoveryPointPort {
  /** False: nothing is shipped to regions, so no commit can wait for them; one that does from before can be told not to any more. */
  readonly hasRegions: boolean;
  /** For sessions of the database that are opened from now on. May be called again. @returns the server's time, at which it held */
  set(databaseName: string, point: RecoveryPoint): Promise<Date>;
  /** Ends the sessions that were opened before. */
  endSessions(databaseName: string, openedBefore: Date): Promise<void>;
}

export interface LifecyclePorts {
  readonly databases: DatabasesPort;
  /** undefined: this installation starts no servers. */
  readonly privateServers?: PrivateServersPort | undefined;
  readonly identity: IdentityPort;
  readonly files: FilesPort;
  readonly portability: PortabilityPort;
  /** undefined: no backups are kept. */
  readonly restores?: RestorePort;
  readonly recoveryPoints: RecoveryPointPort;
  /** undefined: no app runs as a process. */
  readonly appVersions?: AppVersionsPort;
  readonly appProcesses?: AppProcessesPort;
  /** Tells every gateway that a tenant's state, name or access changed, and waits until each has dropped what it knew. */
  notifyGateways(tenantId: TenantId): Promise<void>;
  /** Fills a tenant with the app's demo data. */
  fillDemo(tenantId: TenantId, variant: number): Promise<void>;
}

export type OnProgress = (progress: OperationProgress) => void;

/** What every part of the lifecycle works with. */
export interface LifecycleDeps extends LifecyclePorts {
  readonly db: ControlDatabase;
  readonly keys: KeyStore;
  readonly recordAudit: RecordAudit;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: LifecycleSettings;
}

export interface LifecycleSettings {
  /** Apps that run inside the gateway. */
  readonly apps: readonly string[];
  readonly defaultApp: string;
  /** `https://NAME.DOMAIN[:PORT]`, no trailing slash. */
  readonly tenantUrl: (name: string) => string;
  /** How long the key of a deleted tenant is kept, when there are backups to restore it from. 0: not at all. Default 7. */
  readonly deletionGraceDays?: number;
  /** How long a name that a tenant gave up stays held back. Default 90. */
  readonly nameHoldDays?: number;
  /** Operations that run at the same time. Default 4. */
  readonly concurrency?: number;
  /** Tries of one step before the operation gives up. Default 6. */
  readonly attemptsPerStep?: number;
  /** Longest wait between two tries. Default 5,000. */
  readonly maxRetryDelayMs?: number;
  /** Before what could not be taken back is tried again; doubled each time, up to five minutes. Default 5,000. */
  readonly firstUndoPauseMs?: number;
  /** Default: nobody says where anything is. */
  readonly places?: Places;
  /** How long an exported archive waits to be fetched. Default 24. */
  readonly exportHours?: number;
}
