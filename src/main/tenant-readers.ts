import type { DatabaseAdmin } from '#src/databases/index.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { ConnectionTarget, Pool } from '#src/postgres/index.ts';
import type { TenantDirectory } from '#src/tenants/types.ts';
import { mainErrors } from './errors.ts';

/** The way of control's own jobs into a tenant's database, to read what the platform role sees. */
export interface TenantReader {
  readonly target: ConnectionTarget;
  /** The tenant is suspended: the login was made just now, and a standby may not know it yet. */
  readonly isPassing: boolean;
  /** When nothing is connected any more. */
  close(): Promise<void>;
}

export type OpenTenantReader = (tenantId: TenantId) => Promise<TenantReader>;

/**
 * Backups, verification and dumps are for suspended tenants too, and their databases let nobody in (NOLOGIN): those are read by a login that exists only for that
 * (decision 0037). The doors stay closed to gateways and apps, whose passwords it does not touch.
 */
export function createTenantReaders({
  pool,
  databases,
  directory,
}: {
  /** Control's own database. */
  readonly pool: Pool;
  readonly databases: Pick<DatabaseAdmin, 'openReader'>;
  /** That knows suspended tenants too. */
  readonly directory: Pick<TenantDirectory, 'getAccess'>;
}): OpenTenantReader {
  const stateOf = async (tenantId: TenantId): Promise<string | undefined> => {
    const [row] = await pool.query<{ state: string }>('SELECT state FROM tenants WHERE tenant_id = $1', [tenantId]);
    return row?.state;
  };
  return async (tenantId) => {
    const { database, platform } = await directory.getAccess(tenantId);
    const { name, host, port, tls } = database;
    const targetOf = (login: { user: string; password: string }): ConnectionTarget => ({
      user: login.user,
      password: login.password,
      host,
      port,
      database: name,
      ...(tls && { tls }),
    });
    if ((await stateOf(tenantId)) !== 'suspended')
      return { target: targetOf(platform), isPassing: false, close: async () => {} };
    const reader = await databases.openReader(name);
    // An operation writes the state first and closes the database then: whoever did not see our login when closing, wrote the state before this look.
    const state = await stateOf(tenantId).catch(() => undefined);
    if (state === 'suspended') return { target: targetOf(reader), isPassing: true, close: () => reader.close() };
    await reader.close();
    if (state === 'active') return { target: targetOf(platform), isPassing: false, close: async () => {} };
    throw mainErrors.FH_TENANT_NOT_READABLE({ detail: tenantId });
  };
}
