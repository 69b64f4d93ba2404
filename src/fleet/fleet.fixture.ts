/** A fleet for tests: tenants in a registry with real databases at an older version, without a lifecycle around them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabaseAdmin, type DatabaseAdmin, type MigrationFolders, migrate } from '#src/databases/index.ts';
import { newId, randomName, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import { type ConnectionTarget, createPool, openConnection, type Pool } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createFleetDrift, createFleetRuns, type FleetDeps, type FleetDrift, type FleetRuns } from './index.ts';

export interface TestFleet {
  readonly cluster: TestCluster;
  readonly pool: Pool;
  readonly admin: DatabaseAdmin;
  readonly tenants: readonly TestSubject[];
  /** Of the first and of the second release. */
  readonly releases: readonly [MigrationFolders, MigrationFolders];
  /** A program of the second release that has just started. */
  open(options?: Partial<FleetDeps>): FleetRuns;
  /** @param release which program looks: 0 the first, 1 the second */
  openDrift(release?: 0 | 1): FleetDrift;
  /** What a fleet works with, as JSON for another process. */
  readonly announcement: { readonly target: ConnectionTarget; readonly release: MigrationFolders };
  add(name: string): Promise<TestSubject>;
  /** In the tenant's database, as the owner of everything there. */
  inside(subject: TestSubject, ...statements: string[]): Promise<void>;
  stop(): Promise<void>;
}

export interface TestSubject {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly databaseName: string;
}

const top = join(import.meta.dirname, '../..');

/** @param second what the second release adds; the tenants are made at the first */
export async function openTestFleet({
  tenants: names,
  second,
  own = false,
}: {
  readonly tenants: readonly string[];
  readonly second: string;
  readonly own?: boolean;
}): Promise<TestFleet> {
  const folder = await mkdtemp(join(tmpdir(), 'freehold-fleet-'));
  const cluster = await startTestCluster({ own });
  await migrate(cluster.control, { schema: 'public', folder: join(top, 'migrations/control') });
  const pool = createPool(cluster.control, { max: 8, applicationName: 'test' });
  const admin = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
  // Content of its own: no other test shares the template.
  const first = `-- ${randomName(20)}\nCREATE TABLE item (id int, title text NOT NULL DEFAULT '');\nCREATE INDEX item_title ON item (title);`;
  const write = async (name: string, files: Record<string, string>) => {
    const home = join(folder, name);
    await mkdir(home);
    for (const [file, sql] of Object.entries(files)) await writeFile(join(home, file), sql);
    return { platform: join(top, 'migrations/tenant'), app: home };
  };
  const files = { '0001_item.sql': first };
  const releases = [
    await write('first', files),
    await write('second', { ...files, '0002_second.sql': second }),
  ] as const;
  const { template } = await admin.ensureTemplate('first', releases[0]);
  const opened: FleetRuns[] = [];
  const tenants: TestSubject[] = [];
  const connect = (database: string) =>
    openConnection({ ...cluster.superuser, database }, { applicationName: 'test of the fleet' });

  async function add(name: string): Promise<TestSubject> {
    const subject = { tenantId: newId('ten'), name, databaseName: admin.newDatabaseName() };
    await admin.createDatabase(subject.databaseName, { template });
    await pool.query(
      `INSERT INTO tenants (tenant_id, name, title, state, edition, app, admin_email, database_name, created_at, state_changed_at)
       VALUES ($1, $2, $2, 'active', 'standard', 'sample', 'same@example.com', $3, now(), now())`,
      [subject.tenantId, name, subject.databaseName],
    );
    tenants.push(subject);
    return subject;
  }
  for (const name of names) await add(name);

  const depsOf = (release: 0 | 1) => ({
    db: pool,
    databases: createDatabaseAdmin({ pool, target: cluster.control, log: silentLog }),
    folders: new Map([['sample', releases[release]]]),
    clock: systemClock,
    log: silentLog,
    concurrency: 2,
  });

  return {
    cluster,
    pool,
    admin,
    tenants,
    releases,
    announcement: { target: cluster.control, release: releases[1] },
    open(options = {}) {
      const fleet = createFleetRuns({ ...depsOf(1), firstPauseMs: 20, ...options });
      opened.push(fleet);
      return fleet;
    },
    openDrift: (release = 1) => createFleetDrift(depsOf(release)),
    add,
    async inside({ databaseName }, ...statements) {
      const connection = await connect(databaseName);
      try {
        for (const statement of statements) await connection.query(statement);
      } finally {
        await connection.close();
      }
    },
    async stop() {
      for (const fleet of opened) await fleet.stop();
      for (const { databaseName } of tenants) await admin.dropDatabase(databaseName);
      await pool.stop();
      await cluster.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
