/** Behind the curtain of a running product: its registry, its keys and its tenants' databases, opened as control opens them. */

import { silentLog, type TenantId } from '#src/kernel/index.ts';
import { type KeyStore, openKeyStore } from '#src/keys/index.ts';
import { foldersOf } from '#src/main/folders.ts';
import { type ConnectionTarget, createPool, openConnection, type Pool } from '#src/postgres/index.ts';
import type { Connection } from '#src/postgres/types.ts';
import { createControlDirectory } from '#src/tenants/index.ts';
import type { TenantAccess } from '#src/tenants/types.ts';
import type { Product } from './product/types.ts';

export type DatabaseRole = 'app' | 'platform';

export interface Internals {
  readonly keys: KeyStore;
  /** The control database. */
  readonly control: Pool;
  /** In any state but deleted. */
  accessOf(tenantId: TenantId): Promise<TenantAccess>;
  /** As gateways ask: refused unless the tenant is active. */
  gatewayAccessOf(tenantId: TenantId): Promise<TenantAccess>;
  targetOf(access: TenantAccess, role: DatabaseRole, database?: string): ConnectionTarget;
  connect(tenantId: TenantId, role: DatabaseRole): Promise<Connection>;
  /** One read-write transaction on a connection of its own. */
  write(tenantId: TenantId, role: DatabaseRole, text: string, values?: readonly unknown[]): Promise<void>;
  stop(): Promise<void>;
}

export async function openInternals(product: Product): Promise<Internals> {
  const keys = await openKeyStore(foldersOf(product.dataDir).keys);
  const control = createPool(product.control, { max: 2, applicationName: 'isolation suite' });
  const directory = createControlDirectory({
    db: control,
    keys,
    serverOf: async () => ({ host: product.control.host, port: product.control.port, tls: 'off' }),
    domain: 'localhost',
    log: silentLog,
  });
  const targetOf = (access: TenantAccess, role: DatabaseRole, database = access.database.name): ConnectionTarget => ({
    host: access.database.host,
    port: access.database.port,
    database,
    ...access[role],
  });
  const accessOf = (tenantId: TenantId) => directory.forLifecycle.getAccess(tenantId);
  const connect = async (tenantId: TenantId, role: DatabaseRole) =>
    openConnection(targetOf(await accessOf(tenantId), role), { applicationName: 'isolation suite' });
  return {
    keys,
    control,
    accessOf,
    gatewayAccessOf: (tenantId) => directory.getAccess(tenantId),
    targetOf,
    connect,
    async write(tenantId, role, text, values) {
      const connection = await connect(tenantId, role);
      try {
        await connection.run('BEGIN READ WRITE');
        await connection.run(text, values);
        await connection.run('COMMIT');
      } finally {
        await connection.close();
      }
    },
    stop: () => control.stop(),
  };
}
