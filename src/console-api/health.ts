import type { FastifyInstance } from 'fastify';
import type { AppFences } from '#src/processes/types.ts';

/** How the installation is, for the console, `status` and `doctor`. Sizes in bytes, times in ISO 8601. */
export interface Health {
  readonly version: string;
  readonly startedAt: string;
  readonly domain: string;
  readonly gateway: string;
  readonly clusters: readonly ClusterHealth[];
  readonly gateways: { readonly connected: number; readonly expected: number };
  readonly tenants: Readonly<Record<string, number>>;
  readonly preparedDatabases: { readonly ready: number; readonly target: number };
  readonly operations: { readonly running: number; readonly failed: number };
  readonly disk: { readonly path: string; readonly freeBytes: number; readonly totalBytes: number };
  /** What retention did last, by region; empty where it never ran. */
  readonly retention: readonly RetentionHealth[];
  /** What backups are known to be worth; undefined where there are none. */
  readonly checks?: ChecksHealth;
  /** Recurring work, by name; empty where there is none. */
  readonly jobs: readonly JobView[];
  /** What keeps apps that are processes in; undefined: nobody can say now. */
  readonly appFences?: AppFences;
  /** What a person should look at, worst first; empty when all is well. */
  readonly warnings: readonly HealthWarning[];
}

export interface ClusterHealth {
  readonly name: string;
  readonly kind: 'embedded' | 'external';
  readonly state: 'up' | 'down';
  /** For example `15.13`. */
  readonly version?: string;
  readonly startedAt?: string;
  readonly connections?: { readonly used: number; readonly max: number };
  readonly databases?: number;
  readonly dataChecksums?: boolean;
  /** undefined: the server is not ours. */
  readonly standby?: StandbyHealth;
  /** undefined: nothing is shipped. */
  readonly shipping?: ShippingHealth;
}

/** The log of a cluster on its way to the regions. */
export interface ShippingHealth {
  /** `stopped`: for good, a person must act. */
  readonly state: 'starting' | 'connecting' | 'shipping' | 'stopped';
  readonly reason?: string;
  readonly regions: readonly {
    readonly region: string;
    readonly state: 'shipping' | 'behind' | 'away';
    /** WAL of the primary that the region lacks. */
    readonly behindBytes: number;
    /** The oldest byte that is owed waits this long; 0: nothing is owed. */
    readonly lagMs: number;
    /** Of the log it lacks, what is copied from another region, because the spool had no room for it. */
    readonly owedBytes?: number;
    readonly reason?: string;
  }[];
  readonly spoolBytes: number;
  readonly spoolFull?: boolean;
  readonly slotNearLimit?: boolean;
  /** Stretches of WAL that no region holds, since the shipper started. */
  readonly gaps?: number;
  /** Tenants with recovery point zero: their commits wait until every region has them. */
  readonly waitingTenants?: number;
}

/** The second server of an embedded cluster. */
export interface StandbyHealth {
  /** `following`: streams, or catches up. `away`: runs and is not connected. `failed`: not copied or not started, tried again. */
  readonly state: 'off' | 'seeding' | 'starting' | 'following' | 'away' | 'failed';
  readonly since: string;
  /** Data folder that is the primary's now. */
  readonly primary: string;
  /** In words, when it failed. */
  readonly reason?: string;
  /** WAL that is on the primary's disk and not replayed. */
  readonly lagBytes?: number;
  /** Age of the oldest commit that was not replayed; 0: none. Of a standby that does not follow: how long it has not. */
  readonly lagMs?: number;
  readonly lastFailover?: {
    readonly from: string;
    readonly to: string;
    readonly planned: boolean;
    readonly finishedAt: string;
    readonly closedMs: number;
    /** undefined: unknown. */
    readonly lostBytes?: number;
    /** When the old primary could not be read: what regions and spool gave. `isComplete`: nothing that waited for every region is missing. */
    readonly shipped?: { readonly takenBytes: number; readonly isComplete: boolean };
  };
}

/** The newest run of retention in one region. */
export interface RetentionHealth {
  readonly region: string;
  readonly startedAt: string;
  /** Absent: it runs, or it was interrupted. */
  readonly finishedAt?: string;
  /** Every moment since then that could be restored still can. */
  readonly horizon: string;
  readonly removedObjects: number;
  readonly removedBytes: number;
  /** Since the beginning. */
  readonly allRemovedBytes: number;
  /** What a person should look at. */
  readonly warnings: readonly string[];
}

/** Restores that were tried. */
export interface ChecksHealth {
  /** Of the newest base backup since control started; of earlier ones, the job `base backup` tells. */
  readonly lastBackupAt?: string;
  /** The newest of a base backup, whatever region it was read from. Whether all is well, each region says for itself. */
  readonly lastVerification?: VerificationHealth;
  /** The newest that passed. */
  readonly lastVerifiedAt?: string;
  readonly lastDrill?: DrillHealth;
  /** Each region that is configured: what another one is worth says nothing about it. */
  readonly regions: readonly RegionChecks[];
  /** Tenants that are older than two weeks and were not compared after a restore within them. */
  readonly unverifiedTenants: number;
  readonly suspectBackup?: SuspectBackup;
  /** The same of each private server; drills are of the main one only. */
  readonly privateServers: readonly PrivateServerChecks[];
}

export interface PrivateServerChecks extends Pick<ChecksHealth, 'regions' | 'unverifiedTenants' | 'suspectBackup'> {
  readonly cluster: string;
}

/** A base backup with pages that failed their checksum. */
export interface SuspectBackup {
  readonly backupId: string;
  readonly at: string;
  /** Ids of tenants, and names of databases that are no tenant's. Empty: not in a database. */
  readonly damaged: readonly string[];
}

export interface RegionChecks {
  readonly region: string;
  /** The newest of a base backup, whether it passed or not. */
  readonly lastVerification?: VerificationHealth;
  /** The newest that passed. */
  readonly lastVerifiedAt?: string;
  readonly lastDrill?: DrillHealth;
  /** Absent: there is no limit, or no drill has measured it. */
  readonly recoveryTime?: RecoveryTimeHealth;
}

/** Of a rebuilding from one region, as drills measured it. */
export interface RecoveryTimeHealth {
  readonly limitMs: number;
  readonly lastMs: number;
  readonly lastAt: string;
  /** When the line through the last drills comes to the limit; absent: it does not, or they are too few. */
  readonly passesLimitAt?: string;
}

export interface VerificationHealth {
  readonly at: string;
  readonly passed: boolean;
  readonly region: string;
  readonly backupId: string;
  /** Of the first finding. */
  readonly finding?: string;
}

export interface DrillHealth {
  readonly at: string;
  readonly passed: boolean;
  readonly region: string;
  readonly recoveryPointMs?: number;
  readonly recoveryTimeMs?: number;
  readonly finding?: string;
}

/** Recurring work of control: a base backup every day, for example. */
export interface JobView {
  readonly name: string;
  /** How the newest run ended; `waiting`: there was none yet. */
  readonly state: 'waiting' | 'running' | 'succeeded' | 'failed';
  readonly startedAt?: string;
  readonly succeededAt?: string;
  /** Of the newest run, when it failed. */
  readonly error?: { readonly code: string; readonly text: string; readonly at: string };
  readonly everyMs: number;
  /** It has not succeeded for longer than it may. */
  readonly isOverdue: boolean;
}

export interface HealthWarning {
  readonly severity: 'risk' | 'problem';
  readonly text: string;
  /** What to do or type. */
  readonly hint: string;
}

export interface HealthDeps {
  readonly health: () => Promise<Health>;
  /** Prometheus text. */
  readonly metrics: () => Promise<string>;
}

export function healthRoutes({ health, metrics }: HealthDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/api/health', { config: { operation: 'health.get' } }, () => health());
    app.get('/metrics', { config: { operation: 'metrics.get' } }, async (_request, reply) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8');
      return metrics();
    });
  };
}
