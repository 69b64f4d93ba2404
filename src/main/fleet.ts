import type { FleetReport } from '#src/console-api/index.ts';
import type { MigrationFolders } from '#src/databases/index.ts';
import { createFleetRuns, type FleetRuns, others } from '#src/fleet/index.ts';
import type { Log } from '#src/kernel/index.ts';
import type { Tenant } from '#src/tenants/index.ts';
import type { ControlServices } from './control-services.ts';
import type { Program } from './program.ts';
import type { Shutdown } from './shutdown.ts';

type FleetTenant = FleetReport['tenants'][number];

const atOnce = 4;

/** Migrations of all tenants, to what this program brings along. */
export function createFleet(
  { pool, admin, clock }: ControlServices,
  { apps, platformMigrations, appMigrations }: Program,
  { log, shutdown }: { readonly log: Log; readonly shutdown: Shutdown },
): FleetRuns {
  const folders = new Map<string, MigrationFolders>([[others, { platform: platformMigrations, app: undefined }]]);
  for (const { manifest } of apps)
    folders.set(manifest.name, { platform: platformMigrations, app: appMigrations.get(manifest.name)! });
  const fleet = createFleetRuns({ db: pool, databases: admin, folders, clock, log });
  shutdown.add('migration of the fleet', 20_000, () => fleet.stop());
  return fleet;
}

/** How far each tenant's database is: its own ledgers against the migrations of this program. */
export async function reportFleet({ lifecycle, databases }: ControlServices, program: Program): Promise<FleetReport> {
  const tenants: Tenant[] = [];
  for (let offset = 0; ; offset += 200) {
    const page = await lifecycle.listTenants({ limit: 200, offset });
    tenants.push(...page.tenants.filter((tenant) => tenant.state !== 'deleted'));
    if (page.tenants.length < 200) break;
  }
  const report: FleetTenant[] = new Array(tenants.length);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < tenants.length; index = next++) report[index] = await reportOne(tenants[index]!);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { tenants: report };

  async function reportOne({ tenantId, name, app, state }: Tenant): Promise<FleetTenant> {
    const facts = { tenantId, name, app };
    const of = { platform: program.platformMigrations.length, app: program.appMigrations.get(app)?.length ?? 0 };
    if (state === 'suspended')
      return {
        ...facts,
        platform: { at: 0, of: of.platform },
        appMigrations: { at: 0, of: of.app },
        problem: 'suspended: brought forward when it is resumed',
      };
    try {
      const latest = (db: { query<R>(text: string): Promise<R[]> }, schema: 'freehold' | 'app') =>
        db
          .query<{ at: number }>(`SELECT coalesce(max(position), 0)::int AS at FROM ${schema}.schema_migrations`)
          .then(([row]) => row?.at ?? 0);
      const platformAt = await databases.platform.read(tenantId, (db) => latest(db, 'freehold'));
      // The tables of an app that runs as a process are nobody's to read by name.
      const appAt = program.appMigrations.has(app) ? await databases.app.read(tenantId, (db) => latest(db, 'app')) : 0;
      return { ...facts, platform: { at: platformAt, of: of.platform }, appMigrations: { at: appAt, of: of.app } };
    } catch (error) {
      return {
        ...facts,
        platform: { at: 0, of: of.platform },
        appMigrations: { at: 0, of: of.app },
        problem: error instanceof Error ? error.message : 'it could not be looked at',
      };
    }
  }
}
