import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { TenantProcess, TenantRoute, TenantState } from './types.ts';

/** The tenant behind a name that is answered, or, for a deleted tenant, was answered last. */
export async function findRouteByName(db: Queryable, name: string): Promise<Omit<TenantRoute, 'host'> | undefined> {
  const rows = await db.query<RouteRow>(
    `SELECT t.tenant_id, n.name, t.title, t.state, t.app, a.version, v.manifest -> 'identity' AS identity,
       v.manifest -> 'health' ->> 'path' AS health_path, v.manifest -> 'limits' ->> 'bodyMb' AS body_mb,
       (SELECT rt.release_id FROM release_tenants rt JOIN releases r ON r.release_id = rt.release_id
        WHERE rt.tenant_id = t.tenant_id AND rt.written_at IS NULL AND rt.state IN ('running', 'done', 'returning')
          AND r.version = a.version AND r.state NOT IN ('returned', 'done')) AS trial
     FROM tenant_names n JOIN tenants t ON t.tenant_id = n.tenant_id
       LEFT JOIN tenant_apps a ON a.tenant_id = t.tenant_id LEFT JOIN app_versions v ON v.app = a.app AND v.version = a.version
     WHERE n.name = $1 AND (n.status = 'current' OR (t.state IN ('deleting', 'deleted') AND t.name = n.name))`,
    [name],
  );
  const row = rows[0];
  return (
    row && {
      tenantId: row.tenant_id,
      name: row.name,
      title: row.title,
      state: row.state,
      app: row.app,
      ...(row.version !== null && {
        process: {
          version: row.version,
          identity: row.identity!,
          healthPath: row.health_path!,
          bodyBytes: Number(row.body_mb) * 1024 * 1024,
          ...(row.trial !== null && { trial: row.trial }),
        },
      }),
    }
  );
}

interface RouteRow {
  readonly tenant_id: TenantId;
  readonly name: string;
  readonly title: string;
  readonly state: TenantState;
  readonly app: string;
  // The rest is null unless the app runs as a process.
  readonly version: string | null;
  readonly identity: TenantProcess['identity'] | null;
  readonly health_path: string | null;
  readonly body_mb: string | null;
  readonly trial: string | null;
}
