import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { Checked, Finding } from './types.ts';

/** A row of `verifications`: a base backup or a dump that was restored and checked. */
export interface Verification {
  readonly verificationId: string;
  readonly kind: 'backup' | 'dump';
  /** Name of the server that the base backup is of. */
  readonly cluster: string;
  /** `bak_…`, or the id of the dump. */
  readonly subject: string;
  /** Of a dump. */
  readonly tenantId?: TenantId;
  /** The one region that was read; the others were denied. */
  readonly region: string;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly passed: boolean;
  /** Empty when it passed. */
  readonly findings: readonly Finding[];
  readonly checked: Checked;
}

/** A row of `drills`: an installation, or a private server, that was rebuilt from one region. */
export interface Drill {
  readonly drillId: string;
  /** Name of the server; `main`: the installation. */
  readonly cluster: string;
  readonly region: string;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly passed: boolean;
  /** Work that would have been lost. Absent: it did not get so far. */
  readonly recoveryPointMs?: number;
  /** From the beginning of the rebuilding until control's database and every tenant's answered. */
  readonly recoveryTimeMs?: number;
  readonly findings: readonly Finding[];
  readonly checked: Checked;
}

export async function insertVerification(
  db: Queryable,
  record: Omit<Verification, 'verificationId'>,
): Promise<Verification> {
  const { kind, cluster, subject, tenantId, region, startedAt, finishedAt, passed, findings, checked } = record;
  const [row] = await db.query<{ verificationId: string }>(
    `INSERT INTO verifications (kind, cluster, subject, tenant_id, region, started_at, finished_at, passed, findings, checked)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING verification_id AS "verificationId"`,
    [
      kind,
      cluster,
      subject,
      tenantId ?? null,
      region,
      startedAt,
      finishedAt,
      passed,
      JSON.stringify(findings),
      JSON.stringify(checked),
    ],
  );
  return { ...record, ...row! };
}

/** Newest first. */
export async function selectVerifications(
  db: Queryable,
  filter: {
    readonly limit: number;
    readonly kind?: string;
    readonly cluster?: string;
    readonly subject?: string;
    readonly tenantId?: string;
    readonly region?: string;
    readonly passed?: boolean;
  },
): Promise<Verification[]> {
  const rows = await db.query<Omit<Verification, 'tenantId'> & { tenantId: TenantId | null }>(
    `SELECT verification_id AS "verificationId", kind, cluster, subject, tenant_id AS "tenantId", region, started_at AS "startedAt",
            finished_at AS "finishedAt", passed, findings, checked
     FROM verifications
     WHERE ($1::text IS NULL OR subject = $1) AND ($2::text IS NULL OR tenant_id = $2) AND ($3::text IS NULL OR kind = $3)
       AND ($4::text IS NULL OR region = $4) AND ($5::boolean IS NULL OR passed = $5)
       AND ($6::text IS NULL OR cluster = $6)
     ORDER BY finished_at DESC, verification_id DESC LIMIT $7`,
    [
      filter.subject ?? null,
      filter.tenantId ?? null,
      filter.kind ?? null,
      filter.region ?? null,
      filter.passed ?? null,
      filter.cluster ?? null,
      filter.limit,
    ],
  );
  return rows.map(({ tenantId, ...row }) => ({ ...row, ...(tenantId && { tenantId }) }));
}

export async function insertDrill(db: Queryable, record: Omit<Drill, 'drillId'>): Promise<Drill> {
  const { cluster, region, startedAt, finishedAt, passed, recoveryPointMs, recoveryTimeMs, findings, checked } = record;
  const [row] = await db.query<{ drillId: string }>(
    `INSERT INTO drills (cluster, region, started_at, finished_at, passed, recovery_point_ms, recovery_time_ms, details)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING drill_id AS "drillId"`,
    [
      cluster,
      region,
      startedAt,
      finishedAt,
      passed,
      recoveryPointMs ?? null,
      recoveryTimeMs ?? null,
      JSON.stringify({ findings, checked }),
    ],
  );
  return { ...record, ...row! };
}

/** Newest first. */
export async function selectDrills(
  db: Queryable,
  { limit, cluster, region }: { readonly limit: number; readonly cluster?: string; readonly region?: string },
): Promise<Drill[]> {
  const rows = await db.query<{
    drillId: string;
    cluster: string;
    region: string;
    startedAt: Date;
    finishedAt: Date;
    passed: boolean;
    recoveryPointMs: string | null;
    recoveryTimeMs: string | null;
    details: { findings: Finding[]; checked: Checked };
  }>(
    `SELECT drill_id AS "drillId", cluster, region, started_at AS "startedAt", finished_at AS "finishedAt", passed,
            recovery_point_ms AS "recoveryPointMs", recovery_time_ms AS "recoveryTimeMs", details
     FROM drills WHERE ($2::text IS NULL OR region = $2) AND ($3::text IS NULL OR cluster = $3)
     ORDER BY finished_at DESC, drill_id DESC LIMIT $1`,
    [limit, region ?? null, cluster ?? null],
  );
  return rows.map(({ recoveryPointMs, recoveryTimeMs, details, ...row }) => ({
    ...row,
    ...details,
    ...(recoveryPointMs !== null && { recoveryPointMs: Number(recoveryPointMs) }),
    ...(recoveryTimeMs !== null && { recoveryTimeMs: Number(recoveryTimeMs) }),
  }));
}

export interface TenantToVerify {
  readonly tenantId: TenantId;
  readonly name: string;
  /** Of a suspended one the roles are closed. */
  readonly state: 'active' | 'suspended';
  readonly database: string;
  readonly oid: number;
  readonly createdAt: Date;
  readonly verifiedAt?: Date;
}

/** Tenants that are no operation's at the moment, and when their rows were last compared. */
export async function selectTenantsToVerify(db: Queryable): Promise<TenantToVerify[]> {
  const rows = await db.query<{
    tenantId: TenantId;
    name: string;
    state: TenantToVerify['state'];
    database: string;
    oid: number;
    createdAt: Date;
    verifiedAt: Date | null;
  }>(
    `SELECT t.tenant_id AS "tenantId", t.name, t.state, t.database_name AS database, d.oid::int8::float8 AS oid,
            t.created_at AS "createdAt", v.verified_at AS "verifiedAt"
     FROM tenants t JOIN pg_database d ON d.datname = t.database_name LEFT JOIN verified_tenants v USING (tenant_id)
     WHERE t.state IN ('active', 'suspended') ORDER BY t.tenant_id`,
  );
  return rows.map(({ verifiedAt, ...row }) => ({ ...row, ...(verifiedAt && { verifiedAt }) }));
}
