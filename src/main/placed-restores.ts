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
  async function clusterOf(tenantId: TenantId): Promise<string> {
    const [row] = await db.query<{ cluster: string }>('SELECT cluster FROM tenants WHERE tenant_id = $1', [tenantId]);
    return row?.cluster ?? 'main';
  }

  return {
    ...main,
    async findSource(idOrName, wanted) {
      const { tenantId, moment } = await main.findSource(idOrName, wanted);
      return { tenantId, moment: (await clusterOf(tenantId)) === 'main' ? moment : byTime(moment) };
    },
    async recoverArchive(request, onProgress, signal) {
      const cluster = await clusterOf(request.tenant.tenantId);
      const backups = cluster === 'main' ? undefined : (await clusters.find(cluster)).backups;
      return (backups?.restores ?? main).recoverArchive(request, onProgress, signal);
    },
  };
}

/** The registry's ledger has the place in the main server's WAL; in another one only the time means the same. */
function byTime(moment: RestoreMoment): RestoreMoment {
  if (moment.kind !== 'before') return moment;
  const { kind, event, at } = moment;
  return { kind, event, at };
}
