/**
 * Two tenants on a real server, for tests of what is above databases: a database each with the schemas `freehold` and
 * `app`, an app role and a platform role, migrated with the given folders. The leases here are the simplest that keep the
 * contract of src/databases/types.ts: one connection per callback.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LeaseOptions, TenantDatabase, TenantDatabases, TenantDb } from '#src/databases/types.ts';
import { newId, randomName, type TenantId } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import { startTestCluster } from './cluster.ts';

export interface TwoTenants {
  readonly databases: Pick<TenantDatabases, 'app' | 'platform'>;
  /** Lets another process connect: see `connectTestTenants`. */
  readonly targets: TestTargets;
  readonly acme: TenantRoute;
  readonly globex: TenantRoute;
  stop(): Promise<void>;
}

/** Where each tenant's database is, as its app role; the platform role has the suffix `_p`. */
export type TestTargets = readonly (readonly [TenantId, ConnectionTarget])[];

export interface TwoTenantsOptions {
  /** Folder of the app's migrations, if the test needs schema `app`. */
  readonly appMigrations?: string;
  readonly app?: string;
}

const platformMigrations = join(import.meta.dirname, '../../migrations/tenant');

export async function startTwoTenants(options: TwoTenantsOptions = {}): Promise<TwoTenants> {
  const cluster = await startTestCluster();
  const targets = new Map<TenantId, ConnectionTarget>();
  const names: string[] = [];

  const asSuperuser = async (database: string, ...statements: string[]) => {
    const connection = await openConnection({ ...cluster.superuser, database }, { applicationName: 'test' });
    for (const statement of statements) await connection.script(statement);
    await connection.close();
  };

  async function createTenant(name: string): Promise<TenantRoute> {
    const tenantId = newId('ten');
    const database = `t_${randomName(20)}`;
    names.push(database);
    const password = randomName(40);
    await asSuperuser(
      'postgres',
      `CREATE ROLE ${database} LOGIN PASSWORD '${password}'`,
      `CREATE ROLE ${database}_p LOGIN PASSWORD '${password}' IN ROLE ${database}`,
      `CREATE DATABASE ${database}`,
      `ALTER ROLE ${database} IN DATABASE ${database} SET search_path = app`,
    );
    await asSuperuser(
      database,
      `CREATE SCHEMA app AUTHORIZATION ${database}`,
      `CREATE SCHEMA freehold AUTHORIZATION ${database}_p`,
      `GRANT USAGE ON SCHEMA freehold TO ${database}`,
    );
    targets.set(tenantId, { ...cluster.superuser, database, user: database, password });
    await migrate(tenantId, '_p', platformMigrations);
    if (options.appMigrations) await migrate(tenantId, '', options.appMigrations);
    return { tenantId, name, title: name, state: 'active', app: options.app ?? 'sample', host: `${name}.localhost` };
  }

  async function migrate(tenantId: TenantId, suffix: '' | '_p', folder: string): Promise<void> {
    const connection = await connect(targets, tenantId, suffix);
    for (const file of readdirSync(folder).sort()) await connection.script(readFileSync(join(folder, file), 'utf8'));
    await connection.close();
  }

  const stop = async () => {
    for (const name of names)
      await asSuperuser(
        'postgres',
        `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`,
        `DROP ROLE IF EXISTS ${name}_p`,
        `DROP ROLE IF EXISTS ${name}`,
      );
    await cluster.stop();
  };
  try {
    const [acme, globex] = [await createTenant('acme'), await createTenant('globex')];
    return { databases: connectTestTenants([...targets]), targets: [...targets], acme, globex, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Doors to tenants that `startTwoTenants` made, perhaps in another process. */
export function connectTestTenants(targets: TestTargets): TwoTenants['databases'] {
  const byTenant = new Map(targets);
  const door = (suffix: '' | '_p'): TenantDatabase => {
    const lease = async <T>(
      tenantId: TenantId,
      begin: string,
      fn: (db: TenantDb) => Promise<T>,
      { signal }: LeaseOptions = {},
    ): Promise<T> => {
      if (signal?.aborted) throw signal.reason;
      const connection = await connect(byTenant, tenantId, suffix);
      const cancel = () => void connection.cancel();
      if (signal?.aborted) await connection.close();
      signal?.addEventListener('abort', cancel, { once: true });
      try {
        await connection.run(begin);
        const result = await fn({ tenantId, query: connection.query });
        if (signal?.aborted) throw signal.reason;
        await connection.run('COMMIT');
        return result;
      } finally {
        signal?.removeEventListener('abort', cancel);
        await connection.close();
      }
    };
    return {
      read: (tenantId, fn, leaseOptions) => lease(tenantId, 'BEGIN READ ONLY', fn, leaseOptions),
      transact: (tenantId, fn, leaseOptions) => lease(tenantId, 'BEGIN READ WRITE', fn, leaseOptions),
    };
  };

  return { app: door(''), platform: door('_p') };
}

function connect(targets: ReadonlyMap<TenantId, ConnectionTarget>, tenantId: TenantId, suffix: '' | '_p') {
  const target = targets.get(tenantId);
  if (!target) throw new Error('no such tenant');
  return openConnection({ ...target, user: target.user + suffix }, { applicationName: 'test' });
}
