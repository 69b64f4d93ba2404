import { type ClusterId, formatLsn, type Lsn, parseLsn, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { BackupManifest } from '../types.ts';
import { coverLine } from './coverage.ts';
import type { LedgerEntry, TenantLedger } from './ledger.ts';
import type { Catalogue, CataloguedDump, ClusterCatalogue, ReadableBackup } from './types.ts';

/** What lies where, as last seen: a copy of the regions for people to look at. Never decide anything by it. */
export interface BackupRecord {
  readonly manifest: BackupManifest;
  readonly copies: readonly {
    readonly region: string;
    readonly state: 'complete' | 'incomplete' | 'unreadable';
    readonly missing: readonly string[];
    readonly storedAt: Date;
  }[];
}

export interface WalStretch {
  readonly region: string;
  readonly timeline: number;
  readonly start: Lsn;
  readonly end: Lsn;
  readonly firstCommitAt: Date | undefined;
  readonly lastCommitAt: Date | undefined;
}

/** Makes the rows of one region say what its catalogue says; in the caller's transaction. Rows of backups that are in no region any more go. */
export async function saveCatalogue(tx: Queryable, catalogue: Catalogue): Promise<void> {
  const { region } = catalogue;
  // One after another: two of one region would write the same rows, and of two regions one could take a backup away that the other just found.
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended('freehold catalogue', 0))");
  for (const table of ['backup_copies', 'wal_stretches', 'dumps'])
    await tx.query(`DELETE FROM ${table} WHERE region = $1`, [region]);
  for (const cluster of catalogue.clusters.values()) {
    for (const backup of cluster.backups) {
      if ('manifest' in backup) await upsertBackup(tx, backup);
      if (backup.state === 'unfinished') continue;
      const missing = 'missing' in backup ? backup.missing : [];
      await tx.query(
        'INSERT INTO backup_copies (region, backup_id, state, missing, stored_at) VALUES ($1, $2, $3, $4, $5)',
        [region, backup.backupId, backup.state, missing, backup.storedAt],
      );
    }
    for (const stretch of stretchesOf(region, cluster)) {
      await tx.query(
        `INSERT INTO wal_stretches (region, cluster_id, timeline, start_lsn, end_lsn, first_commit_at, last_commit_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        [
          region,
          cluster.clusterId,
          stretch.timeline,
          formatLsn(stretch.start),
          formatLsn(stretch.end),
          stretch.firstCommitAt ?? null,
          stretch.lastCommitAt ?? null,
        ],
      );
    }
  }
  const { dumps } = catalogue;
  await tx.query(
    `INSERT INTO dumps (region, tenant_id, dump_id, size_bytes, made_at, stored_at)
     SELECT $1, d.tenant_id, d.dump_id, d.size_bytes, d.made_at, d.stored_at
     FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
       AS d (tenant_id, dump_id, size_bytes, made_at, stored_at)`,
    [
      region,
      dumps.map(({ tenantId }) => tenantId),
      dumps.map(({ dumpId }) => dumpId),
      dumps.map(({ sizeBytes }) => sizeBytes),
      dumps.map(({ madeAt }) => madeAt ?? null),
      dumps.map(({ storedAt }) => storedAt),
    ],
  );
  await tx.query(
    'DELETE FROM backups b WHERE NOT EXISTS (SELECT FROM backup_copies c WHERE c.backup_id = b.backup_id)',
  );
}

async function upsertBackup(tx: Queryable, { manifest, startLsn, stopLsn }: ReadableBackup): Promise<void> {
  const all = [manifest.shared, ...manifest.databases];
  const sum = (field: 'sizeBytes' | 'storedBytes') => all.reduce((total, entry) => total + entry[field], 0);
  await tx.query(
    `INSERT INTO backups (backup_id, cluster_id, timeline, start_lsn, stop_lsn, started_at, finished_at, suspect, size_bytes, stored_bytes, manifest)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (backup_id) DO NOTHING`,
    [
      manifest.backupId,
      manifest.clusterId,
      manifest.timeline,
      formatLsn(startLsn),
      formatLsn(stopLsn),
      manifest.startedAt,
      manifest.finishedAt,
      manifest.suspect,
      sum('sizeBytes'),
      sum('storedBytes'),
      JSON.stringify(manifest),
    ],
  );
}

/** Unbroken WAL, timeline by timeline. */
function stretchesOf(region: string, cluster: ClusterCatalogue): WalStretch[] {
  const stretches: WalStretch[] = [];
  for (const [timeline, pieces] of cluster.pieces) {
    const line = [{ timeline, start: 0n, end: undefined }];
    let next: Lsn | undefined = pieces[0]?.start;
    while (next !== undefined) {
      const { used, end, beyond } = coverLine({ pieces: new Map([[timeline, pieces]]) }, line, next);
      const times = used.flatMap(({ piece }) => (piece.firstCommitAt && piece.lastCommitAt ? [piece] : []));
      stretches.push({
        region,
        timeline,
        start: next,
        end,
        firstCommitAt: times[0]?.firstCommitAt,
        lastCommitAt: times.at(-1)?.lastCommitAt,
      });
      next = beyond[0]?.from;
    }
  }
  return stretches;
}

/** Newest first. */
export async function loadBackups(db: Queryable, clusterId: ClusterId): Promise<readonly BackupRecord[]> {
  const rows = await db.query<{
    manifest: BackupManifest;
    copies: (Omit<BackupRecord['copies'][number], 'storedAt'> & { storedAt: string })[];
  }>(
    `SELECT b.manifest, coalesce(jsonb_agg(jsonb_build_object('region', c.region, 'state', c.state, 'missing', c.missing, 'storedAt', c.stored_at)
              ORDER BY c.region) FILTER (WHERE c.region IS NOT NULL), '[]') AS copies
     FROM backups b LEFT JOIN backup_copies c USING (backup_id)
     WHERE b.cluster_id = $1 GROUP BY b.backup_id ORDER BY b.finished_at DESC, b.backup_id`,
    [clusterId],
  );
  return rows.map(({ manifest, copies }) => ({
    manifest,
    copies: copies.map((copy) => ({ ...copy, storedAt: new Date(copy.storedAt) })),
  }));
}

export async function loadWalStretches(db: Queryable, clusterId: ClusterId): Promise<readonly WalStretch[]> {
  const rows = await db.query<{
    region: string;
    timeline: string;
    start_lsn: string;
    end_lsn: string;
    first_commit_at: Date | null;
    last_commit_at: Date | null;
  }>(
    `SELECT region, timeline, start_lsn, end_lsn, first_commit_at, last_commit_at FROM wal_stretches
     WHERE cluster_id = $1 ORDER BY region, timeline, start_lsn`,
    [clusterId],
  );
  return rows.map((row) => ({
    region: row.region,
    timeline: Number(row.timeline),
    start: parseLsn(row.start_lsn),
    end: parseLsn(row.end_lsn),
    firstCommitAt: row.first_commit_at ?? undefined,
    lastCommitAt: row.last_commit_at ?? undefined,
  }));
}

/** Newest first, once per region that has it. */
export async function loadDumps(
  db: Queryable,
  tenantId: TenantId,
): Promise<readonly (Omit<CataloguedDump, 'name'> & { readonly region: string })[]> {
  const rows = await db.query<{
    region: string;
    dump_id: string;
    size_bytes: string;
    made_at: Date | null;
    stored_at: Date;
  }>(
    `SELECT region, dump_id, size_bytes, made_at, stored_at FROM dumps
     WHERE tenant_id = $1 ORDER BY coalesce(made_at, stored_at) DESC, dump_id, region`,
    [tenantId],
  );
  return rows.map((row) => ({
    region: row.region,
    tenantId,
    dumpId: row.dump_id,
    sizeBytes: Number(row.size_bytes),
    madeAt: row.made_at ?? undefined,
    storedAt: row.stored_at,
  }));
}

/** The whole ledger, or one tenant's; for `planRestore` and `findMomentBefore`. */
export async function loadTenantLedger(db: Queryable, tenantId?: TenantId): Promise<TenantLedger> {
  const rows = await db.query<{
    at: Date;
    lsn: string | null;
    timeline: string | null;
    tenant_id: TenantId;
    tenant_name: string;
    state: string;
    database_name: string | null;
    database_oid: string | null;
  }>(
    `SELECT date_trunc('milliseconds', at) AS at, lsn, timeline, tenant_id, tenant_name, state, database_name, database_oid::int8 AS database_oid
     FROM tenant_ledger WHERE $1::text IS NULL OR tenant_id = $1 ORDER BY position`,
    [tenantId ?? null],
  );
  return rows.map(
    (row): LedgerEntry => ({
      tenantId: row.tenant_id,
      at: row.at,
      lsn: row.lsn === null ? undefined : parseLsn(row.lsn),
      timeline: row.timeline === null ? undefined : Number(row.timeline),
      tenantName: row.tenant_name,
      state: row.state,
      databaseName: row.database_name ?? undefined,
      databaseOid: row.database_oid === null ? undefined : Number(row.database_oid),
    }),
  );
}
