import { recordAudit } from '#src/audit/index.ts';
import { digestMigrations, readMigrations } from '#src/databases/index.ts';
import { failpoint, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import {
  type CatalogueObject,
  catalogueFormat,
  compareCatalogues,
  hashCatalogue,
  readCatalogue,
  readServerMajor,
} from './catalogue.ts';
import {
  type Comparable,
  type Comparison,
  findCatalogue,
  forgetProbe,
  keepCatalogue,
  keepComparison,
  noteProbe,
  selectComparable,
  selectDrift,
} from './drift-sql.ts';
import { type DriftState, type FleetDeps, others, type TenantDrift } from './types.ts';

export interface FleetDrift {
  /** Keeps what databases of the newest version hold, so that those of it can be compared also when a newer program runs. */
  remember(): Promise<void>;
  /** Compares now, everybody or one. What differs is recorded, and nothing is changed. */
  check(tenantId?: TenantId, signal?: AbortSignal): Promise<TenantDrift[]>;
  /** As of the last comparison. */
  list(query?: { readonly tenantId?: TenantId; readonly states?: readonly DriftState[] }): Promise<TenantDrift[]>;
}

type DriftDeps = Pick<FleetDeps, 'db' | 'databases' | 'folders' | 'clock' | 'log' | 'concurrency'>;

/**
 * Compares tenants' schemas with a database that was just made at the same version: object by object, with the tenant's two roles under
 * the same names. In a database whose app is a process, only what is the platform's is compared; the rest is the app's to change.
 */
export function createFleetDrift({ db, databases, folders, clock, log, concurrency = 4 }: DriftDeps): FleetDrift {
  const known = new Map<string, Promise<readonly CatalogueObject[] | undefined>>();
  let major: Promise<number> | undefined;
  const now = () => new Date(clock.now());
  const folderOf = (app: string) => folders.get(app) ?? folders.get(others);

  async function keyOf(version: string) {
    major ??= readServerMajor(db);
    return { version, format: catalogueFormat, major: await major };
  }

  function expectedOf(app: string, version: string): Promise<readonly CatalogueObject[] | undefined> {
    const key = `${folders.has(app) ? app : others} ${version}`;
    const asked = known.get(key);
    if (asked) return asked;
    const asking = (async () => (await findCatalogue(db, await keyOf(version))) ?? make(app, version))();
    known.set(key, asking);
    // Neither a failure nor ignorance is remembered.
    const forget = () => known.delete(key);
    asking.then((found) => found ?? forget(), forget);
    return asking;
  }

  /** A fresh copy of the template, read and dropped: the template itself lets nobody in. undefined: this program makes no such version. */
  async function make(app: string, version: string): Promise<readonly CatalogueObject[] | undefined> {
    const source = folderOf(app);
    if (!source) return undefined;
    const made = digestMigrations({
      freehold: await readMigrations(source.platform),
      app: source.app === undefined ? undefined : await readMigrations(source.app),
    });
    if (made !== version) return undefined;
    const { template } = await databases.ensureTemplate(folders.has(app) ? app : others, source);
    const name = databases.newDatabaseName();
    await noteProbe(db, { name, app, version }, now());
    try {
      await databases.createDatabase(name, { template });
      await failpoint('fleet.probe.made');
      const objects = await databases.readCatalogues(name, readCatalogue);
      await keepCatalogue(db, await keyOf(version), { hash: hashCatalogue(objects), objects }, now());
      return objects;
    } finally {
      await databases.dropDatabase(name);
      await forgetProbe(db, name);
    }
  }

  async function versionOf(databaseName: string): Promise<string | undefined> {
    return (await databases.listDatabases()).find(({ name }) => name === databaseName)?.version;
  }

  /** undefined: it was worked on meanwhile. */
  async function compare(tenant: Comparable, version: string): Promise<Comparison | undefined> {
    const facts = { tenantId: tenant.tenantId, version, hash: undefined, differences: [], reason: undefined };
    try {
      const expected = await expectedOf(tenant.app, version);
      if (!expected)
        return { ...facts, state: 'unknown', reason: 'it is at a version that was never looked at: bring it forward' };
      const isProcess = !folders.has(tenant.app);
      const meant = ({ scope }: CatalogueObject) => !isProcess || scope === 'freehold';
      const found = (await databases.readCatalogues(tenant.databaseName, readCatalogue)).filter(meant);
      if ((await selectComparable(db, tenant.tenantId)).length === 0) return undefined;
      if ((await versionOf(tenant.databaseName)) !== version) return undefined;
      const differences = compareCatalogues(expected.filter(meant), found);
      const state = differences.length > 0 ? 'drifted' : 'equal';
      return { ...facts, state, hash: hashCatalogue(found), differences };
    } catch (error) {
      log.warn('the schema of a tenant could not be compared', { tenantId: tenant.tenantId, error });
      return { ...facts, state: 'unreachable', reason: toFreeholdError(error).message };
    }
  }

  async function record(comparison: Comparison, { name }: Comparable): Promise<void> {
    const { tenantId, state, differences } = comparison;
    await db.transaction(async (tx) => {
      const { before, isNew } = await keepComparison(tx, comparison, now());
      const event = { actor: 'system', subject: tenantId, tenantId } as const;
      if (state === 'drifted' && isNew) {
        const first = differences[0]!;
        log.warn('the schema of a tenant is not what its version says', { tenantId, differences: differences.length });
        const details = { name, differences: differences.length, first: `${first.object} ${first.change}` };
        await recordAudit(tx, { ...event, name: 'tenant.schema_drifted', details });
      }
      if (state === 'equal' && before === 'drifted')
        await recordAudit(tx, { ...event, name: 'tenant.schema_drift_ended', details: { name } });
    });
  }

  return {
    async remember() {
      for (const app of folders.keys()) {
        // Nobody needs it while no tenant has such an app.
        const source = folders.get(app)!;
        if (source.app === undefined) continue;
        const version = digestMigrations({
          freehold: await readMigrations(source.platform),
          app: await readMigrations(source.app),
        });
        await expectedOf(app, version);
      }
    },
    async check(tenantId, signal) {
      const [tenants, listed] = await Promise.all([selectComparable(db, tenantId), databases.listDatabases()]);
      const versions = new Map(
        listed.map(({ name, state, version }) => [name, state === 'ready' ? version : undefined]),
      );
      let next = 0;
      const work = async (): Promise<void> => {
        for (let index = next++; index < tenants.length && !signal?.aborted; index = next++) {
          const tenant = tenants[index]!;
          const version = versions.get(tenant.databaseName);
          const comparison = version && (await compare(tenant, version));
          if (comparison) await record(comparison, tenant);
        }
      };
      await Promise.all(Array.from({ length: Math.min(concurrency, tenants.length) }, work));
      return selectDrift(db, { tenantId });
    },
    list: (query = {}) => selectDrift(db, query),
  };
}
