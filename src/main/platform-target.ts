import type { TenantId } from '#src/kernel/index.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';
import type { TenantDirectory } from '#src/tenants/index.ts';

/** The platform's role in the database of a tenant. */
export async function platformTargetOf(
  directory: Pick<TenantDirectory, 'getAccess'>,
  tenantId: TenantId,
): Promise<ConnectionTarget> {
  const { platform, database } = await directory.getAccess(tenantId);
  return {
    ...platform,
    host: database.host,
    port: database.port,
    database: database.name,
    tls: database.tls,
    ca: database.ca,
  };
}
