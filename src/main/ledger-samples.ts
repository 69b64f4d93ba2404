import { setTimeout as delay } from 'node:timers/promises';
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
import type { Clock, ClusterId, Log, TenantId } from '#src/kernel/index.ts';
import { contentHash, longJob, stableOutput } from '#src/portability/index.ts';
import { type Connection, openConnection, type Pool } from '#src/postgres/index.ts';
import type { OpenTenantReader } from './tenant-readers.ts';

/** Sessions that are open at once for a ledger, and what of tenants' databases may lie on the disk at once. */
const limits = { tenants: 16, bytes: 8 * 1024 ** 3 };
/** When everybody is busy at once, autovacuum for example, it is tried again: without any tenant nothing would be compared. */
const attempts = 5;
const againAfterMs = 2_000;

/** How rows are counted here and on scratch servers: as an export counts them. */
export const rowReader: RowReader = { settings: { ...longJob, ...stableOutput }, contentOf: contentHash };

export interface LedgerSample {
  readonly ledger: RowLedger;
  readonly sources: readonly LedgerSource[];
  /** Everybody who was there just before, in the sample or not. */
  readonly open: readonly OpenTenant[];
}

export interface OpenTenant {
  readonly tenantId: TenantId;
  readonly name: string;
}

export interface LedgerSamples {
  /** Of the tenants of this backup that have waited longest; of all tenants when what came later is to be looked at as well. */
  take(
    of: { readonly manifest: BackupManifest | undefined; readonly later: boolean },
    signal: AbortSignal,
    onProgress: OnCheckProgress,
  ): Promise<LedgerSample>;
  /** Everybody who is there now: active, or suspended. */
  open(): Promise<readonly OpenTenant[]>;
  /** What everybody is called, deleted tenants included. */
  names(): Promise<ReadonlyMap<TenantId, string>>;
}

export function createLedgerSamples({
  clusterId,
  pool,
  openReader,
  clock,
  log,
}: {
  readonly clusterId: ClusterId;
  readonly pool: Pool;
  readonly openReader: OpenTenantReader;
  readonly clock: Clock;
  readonly log: Log;
}): LedgerSamples {
  return {
    async take({ manifest, later }, signal, onProgress) {
      const tenants = await selectTenantsToVerify(pool);
      const sizes = new Map(manifest?.databases.map(({ oid, sizeBytes }) => [oid, sizeBytes]));
      const held = tenants.filter(({ oid }) => later || sizes.has(oid));
      const candidates = held.map(({ tenantId, oid, verifiedAt }) => ({
        tenantId,
        sizeBytes: sizes.get(oid) ?? 0,
        verifiedAt,
      }));
      const chosen = new Set(choosePortion(candidates, limits));
      const sources = held
        .filter(({ tenantId }) => chosen.has(tenantId))
        .map(({ tenantId, name, database, oid }) => ({ tenantId, name, database, oid, open: () => open(tenantId) }));
      for (let attempt = 1; ; attempt++) {
        const ledger = await takeRowLedger({
          clusterId,
          control: pool,
          sources,
          rows: rowReader,
          now: () => new Date(clock.now()),
          log,
          signal,
          onProgress,
        });
        if (ledger.tenants.length === 0 && ledger.busy.length > 0 && attempt < attempts) {
          onProgress({ fraction: 0, text: 'waiting for a tenant that is not being written' });
          await delay(againAfterMs, undefined, { signal });
          continue;
        }
        return { ledger: await withoutClosed(ledger), sources, open: tenants };
      }
    },
    open: () => selectTenantsToVerify(pool),
    async names() {
      const rows = await pool.query<{ tenantId: TenantId; name: string }>(
        'SELECT tenant_id AS "tenantId", name FROM tenants',
      );
      return new Map(rows.map(({ tenantId, name }) => [tenantId, name]));
    },
  };

  /** Who was deleted meanwhile, or is being changed, cannot be read, and nothing is wrong with that. */
  async function withoutClosed(ledger: RowLedger): Promise<RowLedger> {
    const { unread = [], busy } = ledger;
    if (unread.length === 0) return ledger;
    const stillOpen = new Set((await selectTenantsToVerify(pool)).map(({ tenantId }) => tenantId));
    const closed = unread.filter(({ tenantId }) => !stillOpen.has(tenantId));
    return {
      ...ledger,
      busy: [...busy, ...closed.map(({ tenantId }) => tenantId)],
      unread: unread.filter(({ tenantId }) => stillOpen.has(tenantId)),
    };
  }

  async function open(tenantId: TenantId): Promise<Connection> {
    const reader = await openReader(tenantId);
    const settle = () =>
      reader.close().catch((error) => log.warn('the login of a reader could not be taken away', { tenantId, error }));
    try {
      const options = { applicationName: 'freehold ledger', options: rowReader.settings };
      const connection = await openConnection(reader.target, options);
      return { ...connection, close: () => connection.close().finally(settle) };
    } catch (error) {
      await settle();
      throw error;
    }
  }
}
