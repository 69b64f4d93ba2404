import type { TenantId } from '#src/kernel/index.ts';
import type { BackedUpDatabase } from '../types.ts';
import { isAlwaysRead, readableBackups } from './bases.ts';
import { findTenantAt, findTenantAtLsn, type LedgerEntry } from './ledger.ts';
import type { PlanRequest, PlanResult } from './plan-types.ts';
import type { ClusterCatalogue, ReadableBackup } from './types.ts';

/** What is wanted, in PostgreSQL's terms at the target. */
export type ResolvedWanted =
  | { readonly kind: 'cluster' }
  | {
      readonly kind: 'database';
      readonly oid: number | undefined;
      readonly name: string | undefined;
      readonly tenantId: TenantId | undefined;
    };

/** The tenant's database at the moment of the target: it may have had another one before (restored in place) or since. */
export function resolveWanted(request: PlanRequest, cluster: ClusterCatalogue): ResolvedWanted | PlanResult {
  const { wanted, catalogue, ledger = [], destroyedKeys } = request;
  const region = catalogue.region;
  if (wanted.kind === 'cluster') return wanted;
  if (wanted.kind === 'database') {
    const found = manifestEntry(cluster, ({ oid }) => oid === wanted.oid);
    return { kind: 'database', oid: wanted.oid, name: found?.name, tenantId: found?.tenantId };
  }
  const { tenantId } = wanted;
  if (destroyedKeys?.has(tenantId)) return { outcome: 'key_destroyed', owner: tenantId };
  if (ledger.some((entry) => entry.tenantId === tenantId)) {
    const entry = tenantAtTarget(request, tenantId);
    const first = ledger.find((each) => each.tenantId === tenantId && each.databaseName !== undefined);
    const notYet = {
      outcome: 'unknown_database',
      region,
      reason: 'not_yet',
      ...(first && { since: first.at }),
    } as const;
    if (!entry) return notYet;
    if (entry.databaseName === undefined) {
      const isGone = entry.state === 'deleted' || entry.state === 'deleting';
      return isGone ? { outcome: 'unknown_database', region, reason: 'no_longer' } : notYet;
    }
    return { kind: 'database', oid: entry.databaseOid, name: entry.databaseName, tenantId };
  }
  const found = manifestEntry(cluster, (database) => database.tenantId === tenantId);
  if (!found) return { outcome: 'unknown_database', region, reason: 'never_known' };
  return { kind: 'database', oid: found.oid, name: found.name, tenantId };
}

function tenantAtTarget({ target, ledger = [] }: PlanRequest, tenantId: TenantId): LedgerEntry | undefined {
  if ('lsn' in target && target.lsn !== undefined) return findTenantAtLsn(ledger, tenantId, target.lsn);
  return findTenantAt(ledger, tenantId, target.kind === 'time' ? target.time : (target as { after: Date }).after);
}

function manifestEntry(
  cluster: ClusterCatalogue,
  isIt: (database: BackedUpDatabase) => boolean,
): BackedUpDatabase | undefined {
  for (const { manifest } of readableBackups(cluster).toReversed()) {
    const found = manifest.databases.find(isIt);
    if (found) return found;
  }
  return undefined;
}

/** The databases of a backup that a recovery of what is wanted reads. */
export function databasesOf({ manifest }: ReadableBackup, wanted: ResolvedWanted): readonly BackedUpDatabase[] {
  if (wanted.kind === 'cluster') return manifest.databases;
  // The OID is what PostgreSQL's files are named after; a name may have passed from one database to another.
  const isWanted = (database: BackedUpDatabase) =>
    wanted.oid !== undefined ? database.oid === wanted.oid : database.name === wanted.name;
  return manifest.databases.filter((database) => isAlwaysRead(database) || isWanted(database));
}
