import type { Lsn, TenantId } from '#src/kernel/index.ts';
import type { RestoreTarget } from './plan-types.ts';

/**
 * Which database belonged to which tenant, and what the tenant was called, at every moment: rows of `tenant_ledger`, written by a trigger in the
 * transaction that changes the tenant, and never changed or removed. A row is the state from `at` on.
 */
export interface LedgerEntry {
  readonly tenantId: TenantId;
  /** Before the change was committed, by the database server's clock: a restore to this moment is one from just before it. */
  readonly at: Date;
  /** Insert position of the control database's WAL, likewise before the commit. */
  readonly lsn: Lsn | undefined;
  readonly timeline: number | undefined;
  readonly tenantName: string;
  readonly state: string;
  readonly databaseName: string | undefined;
  /** undefined: none, or it did not exist yet when its name was chosen. */
  readonly databaseOid: number | undefined;
}

/** In the order in which they were written. */
export type TenantLedger = readonly LedgerEntry[];

/** What a tenant was at this moment; undefined: not there yet. */
export function findTenantAt(ledger: TenantLedger, tenantId: TenantId, at: Date): LedgerEntry | undefined {
  return ledger.findLast((entry) => entry.tenantId === tenantId && entry.at <= at);
}

/** The same by a place in the WAL; rows without one count by the order in which they were written. */
export function findTenantAtLsn(ledger: TenantLedger, tenantId: TenantId, lsn: Lsn): LedgerEntry | undefined {
  let found: LedgerEntry | undefined;
  for (const entry of ledger) {
    if (entry.lsn !== undefined && entry.lsn > lsn) continue;
    if (entry.tenantId === tenantId) found = entry;
  }
  return found;
}

/** Everybody who ever had this name, the last first: a name may pass to another tenant when it is no longer held back. */
export function findTenantsByName(ledger: TenantLedger, name: string): readonly TenantId[] {
  return [...new Set(ledger.filter((entry) => entry.tenantName === name).map(({ tenantId }) => tenantId))].reverse();
}

export interface MomentBefore {
  readonly target: Extract<RestoreTarget, { kind: 'time' }>;
  /** As it was just before. */
  readonly tenant: LedgerEntry;
}

/**
 * The last moment before a tenant was deleted or (most recently) renamed. Deletion counts from its beginning, when everything was still there: what it
 * destroys goes in later steps. undefined: it never happened.
 */
export function findMomentBefore(
  ledger: TenantLedger,
  tenantId: TenantId,
  event: 'deleted' | 'renamed',
): MomentBefore | undefined {
  const own = ledger.filter((entry) => entry.tenantId === tenantId);
  for (let index = own.length - 1; index > 0; index--) {
    const [before, after] = [own[index - 1]!, own[index]!];
    const isIt =
      event === 'renamed'
        ? before.tenantName !== after.tenantName
        : before.state !== 'deleting' &&
          (after.state === 'deleting' || after.state === 'deleted') &&
          before.state !== 'deleted';
    if (isIt) return { target: { kind: 'time', time: after.at }, tenant: before };
  }
  return undefined;
}
