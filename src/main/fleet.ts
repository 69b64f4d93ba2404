import type { FleetReport, HealthWarning } from '#src/console-api/index.ts';
import type { MigrationFolders } from '#src/databases/index.ts';
import { createFleetDrift, createFleetRuns, type FleetDrift, type FleetRuns, others } from '#src/fleet/index.ts';
import type { Log } from '#src/kernel/index.ts';
import type { Tenant } from '#src/tenants/index.ts';
import type { ControlServices } from './control-services.ts';
import type { Program } from './program.ts';
import type { Shutdown } from './shutdown.ts';

type FleetTenant = FleetReport['tenants'][number];

const atOnce = 4;

const weekMs = 7 * 24 * 60 * 60_000;

export interface Fleet extends FleetRuns {
  readonly drift: FleetDrift;
  warnings(): Promise<HealthWarning[]>;
}

/** Migrations of all tenants, to what this program brings along, and the weekly comparison of their schemas. */
export function createFleet(
  { pool, admin, clock, jobs }: ControlServices,
  { apps, platformMigrations, appMigrations }: Program,
  { log, shutdown }: { readonly log: Log; readonly shutdown: Shutdown },
): Fleet {
  const folders = new Map<string, MigrationFolders>([[others, { platform: platformMigrations, app: undefined }]]);
  for (const { manifest } of apps)
    folders.set(manifest.name, { platform: platformMigrations, app: appMigrations.get(manifest.name)! });
  const deps = { db: pool, databases: admin, folders, clock, log };
  const fleet = createFleetRuns(deps);
  const drift = createFleetDrift(deps);
  shutdown.add('migration of the fleet', 20_000, () => fleet.stop());
  jobs.add({
    name: 'schema comparison',
    everyMs: weekMs,
    firstAfterMs: 15 * 60_000,
    retryAfterMs: 60 * 60_000,
    overdueAfterMs: 3 * weekMs,
    run: async (signal) => {
      await drift.remember();
      await drift.check(undefined, signal);
    },
  });
  return { ...fleet, drift, warnings: () => findWarnings(fleet, drift) };
}

async function findWarnings(fleet: FleetRuns, drift: FleetDrift): Promise<HealthWarning[]> {
  const [{ halted, failed }, drifted] = await Promise.all([fleet.troubles(), drift.list({ states: ['drifted'] })]);
  const warnings: HealthWarning[] = [];
  if (halted)
    warnings.push({
      severity: 'problem',
      text: `The migration of the fleet was halted: ${halted.reason}.`,
      hint: 'See why: ./freehold migrations status; mend it, then go on: ./freehold migrations run',
    });
  if (failed.length > 0)
    warnings.push({
      severity: 'problem',
      text: `${listOf(failed)} could not be migrated, and is as it was.`,
      hint: `See why: ./freehold migrations status; mend it, then: ./freehold migrations run --tenant ${failed[0]}`,
    });
  if (drifted.length > 0) {
    warnings.push({
      severity: 'risk',
      text: `The schema of ${listOf(drifted.map(({ name }) => name))} is not what its version says.`,
      hint: 'See what differs: ./freehold migrations drift',
    });
  }
  return warnings;
}

function listOf(names: readonly string[]): string {
  const rest = names.length - 3;
  return `${names.slice(0, 3).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
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
