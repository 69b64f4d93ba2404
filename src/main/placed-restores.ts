import { findTenantAt, loadTenantLedger } from '#src/backups/index.ts';
import { clusterOf, mainCluster } from '#src/databases/index.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import type { RestoreMoment, RestorePort } from '#src/tenants/index.ts';
import type { PrivateClusters } from './private-clusters.ts';

/** Tenants as they were, each from the backups of the server that it is on. */
export function createPlacedRestores({
  main,
  db,
  clusters,
}: {
  readonly main: RestorePort;
  /** Control's own database. */
  readonly db: Pool;
  readonly clusters: Pick<PrivateClusters, 'find'>;
}): RestorePort {
  /** The server that the tenant was on at the moment; where that is not known, the one that it is on. */
  async function clusterAt(tenantId: TenantId, moment: RestoreMoment): Promise<string> {
    const ledger = await loadTenantLedger(db, tenantId);
    const time = timeOf(moment);
    const then = time === undefined ? undefined : findTenantAt(ledger, tenantId, new Date(time));
    const name = (then ?? ledger.findLast(({ databaseName }) => databaseName !== undefined))?.databaseName;
    return name === undefined ? mainCluster : clusterOf(name);
  }

  return {
    ...main,
    async findSource(idOrName, wanted) {
      const { tenantId, moment } = await main.findSource(idOrName, wanted);
      return { tenantId, moment: (await clusterAt(tenantId, moment)) === mainCluster ? moment : byTime(moment) };
    },
    async recoverArchive(request, onProgress, signal) {
      const cluster = await clusterAt(request.tenant.tenantId, request.moment);
      const backups = cluster === mainCluster ? undefined : (await clusters.find(cluster)).backups;
      return (backups?.restores ?? main).recoverArchive(request, onProgress, signal);
    },
  };
}

function timeOf(moment: RestoreMoment): string | undefined {
  if (moment.kind === 'time') return moment.time;
  if (moment.kind === 'before') return moment.at;
  return moment.kind === 'lsn' ? undefined : moment.after;
}

/** The registry's ledger has the place in the main server's WAL; in another one only the time means the same. */
function byTime(moment: RestoreMoment): RestoreMoment {
  if (moment.kind !== 'before') return moment;
  const { kind, event, at } = moment;
  return { kind, event, at };
}
