import type { DatabaseAdmin, MigrationFolders } from '#src/databases/index.ts';
import type { Clock, Id, Log, TenantId } from '#src/kernel/index.ts';
import type { Queryable, TransactionRunner } from '#src/postgres/index.ts';
import type { Difference } from './catalogue.ts';

/** Stands for all apps that are processes: the platform's own schema is all that is migrated for them. */
export const others = '*';

export type RunId = Id<'run'>;
export const runStates = ['running', 'done', 'halted', 'superseded'] as const;
export type RunState = (typeof runStates)[number];
export const subjectStates = ['waiting', 'running', 'done', 'failed', 'skipped'] as const;
export type SubjectState = (typeof subjectStates)[number];

/** A run halts by itself when more than `maxFailedPercent` of the tenants that were tried have failed, and at least `minFailed`. */
export interface HaltRule {
  /** Default 10. */
  readonly maxFailedPercent: number;
  /** Default 5. */
  readonly minFailed: number;
}

export interface FleetRun extends HaltRule {
  readonly runId: RunId;
  /** Digest of the migrations by app. */
  readonly target: Readonly<Record<string, string>>;
  readonly state: RunState;
  readonly reason: string | undefined;
  /** False: only the tenants that it was begun with. */
  readonly isWhole: boolean;
  readonly requestedBy: string;
  readonly startedAt: Date;
  readonly finishedAt: Date | undefined;
  readonly counts: Readonly<Record<SubjectState, number>>;
}

/** One tenant in a run. */
export interface FleetSubject {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly state: SubjectState;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly attempts: number;
  readonly durationMs: number | undefined;
  /** Safe to show to staff. */
  readonly error: { readonly code: string | undefined; readonly text: string } | undefined;
  readonly finishedAt: Date | undefined;
}

export interface FleetDeps {
  readonly db: Queryable & TransactionRunner;
  readonly databases: FleetDatabases;
  /** The migrations of every app that is part of the program, by its name; and, as `others`, of databases whose app is a process. */
  readonly folders: ReadonlyMap<string | typeof others, MigrationFolders>;
  readonly clock: Clock;
  readonly log: Log;
  /** Tenants at a time; each takes two connections of its own. Default 4. */
  readonly concurrency?: number;
  /** Longest wait for one lock, and so the longest that a tenant's own statements queue behind it. Default 1,000. */
  readonly lockTimeoutMs?: number;
  /** Turns that a tenant gets when another's lock, or an operation, is in the way. Default 12. */
  readonly attempts?: number;
  /** Before its next turn; doubled each time up to a minute, with jitter. Default 500. */
  readonly firstPauseMs?: number;
}

export type FleetDatabases = Pick<
  DatabaseAdmin,
  | 'migrateDatabase'
  | 'listDatabases'
  | 'readCatalogues'
  | 'ensureTemplate'
  | 'newDatabaseName'
  | 'createDatabase'
  | 'dropDatabase'
>;

/** `unknown`: what its version should hold is not known. `unreachable`: it could not be looked at. */
export const driftStates = ['equal', 'drifted', 'unknown', 'unreachable'] as const;
export type DriftState = (typeof driftStates)[number];

/** The last comparison of a tenant's schema with what its version says. */
export interface TenantDrift {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly version: string;
  readonly state: DriftState;
  /** The first 200. */
  readonly differences: readonly Difference[];
  readonly count: number;
  readonly reason: string | undefined;
  readonly checkedAt: Date;
  /** Since when it has been as it is. */
  readonly since: Date;
}
