import type { TenantId } from '#src/kernel/index.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';
import type { TenantDirectory } from '#src/tenants/index.ts';

/** A role of a tenant in its database. */
export async function tenantTargetOf(
  directory: Pick<TenantDirectory, 'getAccess'>,
  tenantId: TenantId,
  role: 'platform' | 'app',
): Promise<ConnectionTarget> {
  const { [role]: login, database } = await directory.getAccess(tenantId);
  return {
    ...login,
    host: database.host,
    port: database.port,
    database: database.name,
    tls: database.tls,
    ca: database.ca,
  };
}
