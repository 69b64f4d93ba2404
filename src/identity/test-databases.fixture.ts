/** For tests: the databases of tenants that exist, in this process or another one. */
import { createTenantDatabases } from '#src/databases/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { silentLog, type TenantId } from '#src/kernel/index.ts';
import type { TenantAccess } from '#src/tenants/types.ts';

export function openTestDatabases(accesses: ReadonlyMap<TenantId, TenantAccess>): TenantDatabases {
  return createTenantDatabases({
    directory: { getAccess: async (tenantId) => accesses.get(tenantId)!, onChanged: () => {}, onFlush: () => {} },
    budget: 12,
    perTenantMax: 8,
    statementTimeoutMs: 30_000,
    lockTimeoutMs: 20_000,
    waitTimeoutMs: 30_000,
    log: silentLog,
  });
}
