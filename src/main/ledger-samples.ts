import {
  type BackupManifest,
  choosePortion,
  type LedgerSource,
  type OnCheckProgress,
  type RowLedger,
  type RowReader,
  selectTenantsToVerify,
  takeRowLedger,
} from '#src/backups/index.ts';
import type { Clock, ClusterId, TenantId } from '#src/kernel/index.ts';
import { contentHash, longJob, stableOutput } from '#src/portability/index.ts';
import { openConnection, type Pool } from '#src/postgres/index.ts';
import type { TenantAccess } from '#src/tenants/types.ts';

/** Sessions that are open at once for a ledger, and what of tenants' databases may lie on the disk at once. */
const limits = { tenants: 16, bytes: 8 * 1024 ** 3 };

/** How rows are counted here and on scratch servers: as an export counts them. */
export const rowReader: RowReader = { settings: { ...longJob, ...stableOutput }, contentOf: contentHash };

export interface LedgerSample {
  readonly ledger: RowLedger;
  readonly sources: readonly LedgerSource[];
  /** Tenants that are open. */
  readonly ofTenants: number;
}

export interface LedgerSamples {
  /** Of the tenants of this backup that have waited longest. */
  take(manifest: BackupManifest, signal: AbortSignal, onProgress: OnCheckProgress): Promise<LedgerSample>;
  /** What everybody is called, deleted tenants included. */
  names(): Promise<ReadonlyMap<TenantId, string>>;
}

export function createLedgerSamples({
  clusterId,
  pool,
  getAccess,
  clock,
}: {
  readonly clusterId: ClusterId;
  readonly pool: Pool;
  readonly getAccess: (tenantId: TenantId) => Promise<TenantAccess>;
  readonly clock: Clock;
}): LedgerSamples {
  return {
    async take(manifest, signal, onProgress) {
      const tenants = await selectTenantsToVerify(pool);
      const sizes = new Map(manifest.databases.map(({ oid, sizeBytes }) => [oid, sizeBytes]));
      const held = tenants.filter(({ oid }) => sizes.has(oid));
      const candidates = held.map(({ tenantId, oid, verifiedAt }) => ({
        tenantId,
        sizeBytes: sizes.get(oid)!,
        verifiedAt,
      }));
      const chosen = new Set(choosePortion(candidates, limits));
      const sources = held
        .filter(({ tenantId }) => chosen.has(tenantId))
        .map(({ tenantId, name, database, oid }) => ({ tenantId, name, database, oid, open: () => open(tenantId) }));
      const ledger = await takeRowLedger({
        clusterId,
        control: pool,
        sources,
        rows: rowReader,
        now: () => new Date(clock.now()),
        signal,
        onProgress,
      });
      return { ledger, sources, ofTenants: tenants.length };
    },
    async names() {
      const rows = await pool.query<{ tenantId: TenantId; name: string }>(
        'SELECT tenant_id AS "tenantId", name FROM tenants',
      );
      return new Map(rows.map(({ tenantId, name }) => [tenantId, name]));
    },
  };

  async function open(tenantId: TenantId) {
    const { database, platform } = await getAccess(tenantId);
    const { host, port, tls, name } = database;
    return openConnection(
      { ...platform, host, port, database: name, ...(tls && { tls }) },
      { applicationName: 'freehold ledger', options: rowReader.settings },
    );
  }
}
