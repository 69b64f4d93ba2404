import type { Id, OperationId, TenantId } from '#src/kernel/index.ts';

export type ReleaseId = Id<'rel'>;
/** In the order in which a release goes through them. */
export const rings = ['alpha', 'beta', 'production'] as const;
export type Ring = (typeof rings)[number];

/** `checking`: it is tried on a copy of a tenant. `halted`: a gate said no, and a person decides. `returning`: every tenant that it reached goes back. */
export const releaseStates = ['checking', 'running', 'paused', 'halted', 'returning', 'returned', 'done'] as const;
export type ReleaseState = (typeof releaseStates)[number];
export const openStates = ['checking', 'running', 'paused', 'halted', 'returning'] as const;

/** `failed`: taken back alone. `returned`: went back with the release. */
export const releaseTenantStates = [
  'waiting',
  'running',
  'done',
  'failed',
  'skipped',
  'returning',
  'returned',
] as const;
export type ReleaseTenantState = (typeof releaseTenantStates)[number];

export interface ReleaseSettings {
  /** How long a ring is watched before the next one begins. Default 900. */
  readonly soakSeconds: number;
  /** Halts when more than `maxFailedPercent` of the tenants that were tried in a ring have failed, and at least `minFailed`; at the end of a ring, whatever their number. */
  readonly maxFailedPercent: number;
  readonly minFailed: number;
  /** Each ring waits for `promote`. Default false. */
  readonly isManual: boolean;
  /** Tries it on a copy of one tenant before anybody gets it. Default true. */
  readonly isRehearsed: boolean;
  /** It removes what the version before does not need any more. Default false. */
  readonly mayContract: boolean;
  /** What a gate does that says no: everybody goes back, or a person decides. Default `return`. */
  readonly onHalt: 'return' | 'keep';
}

/** One version of an app on its way through the rings. */
export interface Release {
  readonly releaseId: ReleaseId;
  readonly app: string;
  readonly version: string;
  readonly state: ReleaseState;
  readonly ring: Ring;
  /** Since when all of the ring run it. */
  readonly soaksSince: Date | undefined;
  readonly isPromoted: boolean;
  readonly settings: ReleaseSettings;
  /** Why it was halted, or goes back. */
  readonly reason: string | undefined;
  readonly requestedBy: string;
  readonly startedAt: Date;
  readonly finishedAt: Date | undefined;
  readonly counts: Readonly<Record<Ring, Readonly<Partial<Record<ReleaseTenantState, number>>>>>;
}

export interface ReleaseTenant {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly ring: Ring;
  readonly state: ReleaseTenantState;
  readonly fromVersion: string;
  readonly operationId: OperationId | undefined;
  /** The first request since the switch that may have changed something. */
  readonly writtenAt: Date | undefined;
  /** Of one that went back: with its content, or the version alone. */
  readonly isDataBack: boolean | undefined;
  /** Safe to show to staff. */
  readonly error: { readonly code: string | undefined; readonly text: string } | undefined;
}
