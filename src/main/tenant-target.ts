import { type PlacedAdmin, rolesOf } from '#src/databases/index.ts';
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

/** Databases by name, wherever they are. */
export function databaseTargets(admin: Pick<PlacedAdmin, 'openReader' | 'serverOf'>) {
  const targetOf = async (database: string, user: string, password: string): Promise<ConnectionTarget> => ({
    ...(await admin.serverOf(database)),
    database,
    user,
    password,
  });
  return {
    async openClosed(database: string) {
      const reader = await admin.openReader(database);
      return { target: await targetOf(database, reader.user, reader.password), close: () => reader.close() };
    },
    targetOf: (database: string, role: 'platform' | 'app', password: string) =>
      targetOf(database, rolesOf(database)[role], password),
  };
}
