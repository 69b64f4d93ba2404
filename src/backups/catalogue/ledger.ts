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
    // The place is from before the commit, and a restore to it ends there.
    if (entry.lsn !== undefined && entry.lsn >= lsn) continue;
    if (entry.tenantId === tenantId) found = entry;
  }
  return found;
}

/** Everybody who ever had this name, the last first: a name may pass to another tenant when it is no longer held back. */
export function findTenantsByName(ledger: TenantLedger, name: string): readonly TenantId[] {
  return [...new Set(ledger.filter((entry) => entry.tenantName === name).map(({ tenantId }) => tenantId))].reverse();
}

export interface MomentBefore {
  /** The place of the change in the WAL, and its timeline, when they are known; otherwise the time. */
  readonly target: Extract<RestoreTarget, { kind: 'time' | 'lsn' }>;
  /** When it was. */
  readonly at: Date;
  /** As it was just before. */
  readonly tenant: LedgerEntry;
}

export type LedgerEvent = 'delete' | 'rename';

/**
 * The last moment before a tenant was deleted or (most recently) renamed; `name`: only renamings from it or to it. Deletion counts from its beginning, when
 * everything was still there: what it destroys goes in later steps. undefined: it never happened.
 */
export function findMomentBefore(
  ledger: TenantLedger,
  tenantId: TenantId,
  event: LedgerEvent,
  name?: string,
): MomentBefore | undefined {
  const own = ledger.filter((entry) => entry.tenantId === tenantId);
  for (let index = own.length - 1; index > 0; index--) {
    const [before, after] = [own[index - 1]!, own[index]!];
    const isIt = event === 'rename' ? isRenaming(before, after) : isDeletion(before, after);
    const isNamed = name === undefined || before.tenantName === name || after.tenantName === name;
    if (isIt && isNamed) return toMoment(before, after);
  }
  return undefined;
}

/** The moment before the first change of the tenant between two times, which an operation made; undefined: it changed nothing. */
export function findMomentBetween(
  ledger: TenantLedger,
  tenantId: TenantId,
  from: Date,
  to: Date,
): MomentBefore | undefined {
  const own = ledger.filter((entry) => entry.tenantId === tenantId);
  const index = own.findIndex(({ at }) => at >= from && at <= to);
  return index > 0 ? toMoment(own[index - 1]!, own[index]!) : undefined;
}

function isRenaming(before: LedgerEntry, after: LedgerEntry): boolean {
  return before.tenantName !== after.tenantName && hasLived(before);
}

function isDeletion(before: LedgerEntry, after: LedgerEntry): boolean {
  return hasLived(before) && !isGone(before) && isGone(after);
}

/** Not one that was being made, and perhaps taken back. */
function hasLived({ state, databaseName }: LedgerEntry): boolean {
  return databaseName !== undefined && state !== 'requested' && state !== 'creating';
}

function isGone({ state }: LedgerEntry): boolean {
  return state === 'deleting' || state === 'deleted';
}

function toMoment(before: LedgerEntry, { at, lsn, timeline }: LedgerEntry): MomentBefore {
  const target =
    lsn === undefined
      ? ({ kind: 'time', time: at } as const)
      : ({ kind: 'lsn', lsn, ...(timeline !== undefined && { timeline }) } as const);
  return { target, at, tenant: before };
}

/**
 * Who may be meant by a name at a moment: whoever was called so then, and whoever is called so now and was there then. More than one: whoever asks
 * must say which.
 */
export function findTenantsMeant(
  ledger: TenantLedger,
  name: string,
  entryAt: (tenantId: TenantId) => LedgerEntry | undefined,
): readonly TenantId[] {
  return findTenantsByName(ledger, name).filter((tenantId) => {
    const then = entryAt(tenantId);
    if (!then || !hasLived(then) || then.state === 'deleted') return false;
    const now = ledger.findLast((entry) => entry.tenantId === tenantId)!;
    return then.tenantName === name || (now.tenantName === name && !isGone(now));
  });
}
