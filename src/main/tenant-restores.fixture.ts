/** For tests: a whole control side on a server of its own, whose WAL is shipped to two regions, and restores that really recover. */
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { readClusterFacts, readDatabases, runBaseBackup, startShipper } from '#src/backups/index.ts';
import { newId, silentLog, systemClock, type TenantId, waitFor } from '#src/kernel/index.ts';
import type { BackupKeys, KeyStore } from '#src/keys/types.ts';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import type { Operation, OperationInputs, OperationKind, Tenant, WantedMoment } from '#src/tenants/index.ts';
import { openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { type OwnCluster, startOwnCluster } from '../../test/support/own-cluster.ts';
import { createTenantRestores, type TenantRestores } from './tenant-restores.ts';

const top = path.join(import.meta.dirname, '../..');

export interface RestoreInstallation extends TestInstallation {
  readonly own: OwnCluster;
  readonly scratchFolder: string;
  /** Folder of the first region; `south` is the other one's. */
  readonly north: string;
  /** The next restore finds the regions as they are now when it first looks, as if newer objects were still on their way. */
  holdBack(): Promise<void>;
  takeBackup(): Promise<void>;
  run<K extends OperationKind>(kind: K, tenant: Tenant | undefined, input: OperationInputs[K]): Promise<Operation>;
  create(name: string): Promise<Tenant>;
  /** Ends as it ends; nothing is left in the scratch folder. */
  restore(idOrName: string, moment: WantedMoment, newName?: string): Promise<Operation>;
  /** In one transaction, as the app's role. */
  write(tenant: Tenant, ...statements: string[]): Promise<void>;
  notes(tenant: Tenant): Promise<string[]>;
  /** A moment with no commit beside it, by the server's clock. */
  moment(): Promise<Date>;
  remove(): Promise<void>;
}

/** Statement that adds a row to the sample app. */
export const note = (id: string, text: string): string =>
  `INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('${id}', '${text}', 'usr_x', now())`;

/** @param around called with every recovery of an archive: what it does before and after it */
export async function startRestoreInstallation(
  around: (
    recover: () => ReturnType<TenantRestores['recoverArchive']>,
  ) => ReturnType<TenantRestores['recoverArchive']> = (recover) => recover(),
): Promise<RestoreInstallation> {
  const clusterId = newId('clu');
  const own = await startOwnCluster();
  const folder = path.join(own.folder, 'control');
  await mkdir(folder);
  let restores: TenantRestores;
  const world = await openTestInstallation({
    control: own.control,
    folder,
    override: () => ({
      restores: {
        findSource: (...args) => restores.findSource(...args),
        recoverArchive: (...args) => around(() => restores.recoverArchive(...args)),
        keepFiles: (tenantId) => restores.keepFiles(tenantId),
        removeArchive: (operationId) => restores.removeArchive(operationId),
      },
    }),
  });
  const { pool, lifecycle, databases } = world;
  const keys = world.keys as KeyStore & BackupKeys;
  await keys.createKey(clusterId);
  const regions: RegionStore[] = [];
  for (const region of ['north', 'south']) {
    const root = path.join(own.folder, region);
    await mkdir(root);
    regions.push(createDiskRegion({ region, root, initialise: true }));
  }
  const shipper = await startShipper({
    clusterId,
    regions,
    findPrimary: async () => own.replication,
    key: await keys.currentKey(clusterId),
    findKey: async (keyId) => (await keys.openKey(keyId)).key,
    spoolDir: path.join(own.folder, 'spool'),
    log: silentLog,
  });
  const heldBack = new Map<RegionStore, ReadonlySet<string>>();
  const behindAtFirst = (region: RegionStore): RegionStore => ({
    ...region,
    async *list(...of) {
      const names = heldBack.get(region);
      heldBack.delete(region);
      for await (const info of region.list(...of)) if (!names || names.has(info.name)) yield info;
    },
  });
  const scratchFolder = path.join(own.folder, 'scratch');
  await mkdir(scratchFolder);
  await chmod(scratchFolder, 0o711);
  if (own.osUser) await chown(scratchFolder, own.osUser.uid, own.osUser.gid);
  restores = createTenantRestores({
    backups: { clusterId, regions: regions.map(behindAtFirst) },
    binaries: own.cluster.options.binaries,
    pool: pool,
    control: own.control,
    keys: keys,
    portability: world.portability,
    vault: world.vault,
    migrationsOf: () => ({
      platform: path.join(top, 'migrations/tenant'),
      app: path.join(top, 'apps/sample/migrations'),
    }),
    scratchFolder,
    osUser: own.osUser,
    clock: systemClock,
    log: silentLog,
    shippingDeadlineMs: 120_000,
  });

  async function run<K extends OperationKind>(kind: K, tenant: Tenant | undefined, input: OperationInputs[K]) {
    const started = await lifecycle.startOperation(kind, tenant?.tenantId, input, 'os:test');
    return lifecycle.waitForOperation(started.operationId);
  }
  const clockNow = async () => (await pool.query<{ now: Date }>('SELECT clock_timestamp() AS now'))[0]!.now.getTime();
  const later = (than: number) =>
    waitFor('the next millisecond', async () => ((await clockNow()) > than + 1 ? clockNow() : undefined));

  return {
    ...world,
    own,
    scratchFolder,
    north: path.join(own.folder, 'north'),
    async holdBack() {
      for (const region of regions) {
        const infos = await Array.fromAsync(region.list(''));
        heldBack.set(region, new Set(infos.map(({ name }) => name)));
      }
    },
    run,
    async takeBackup() {
      await runBaseBackup({
        clusterId,
        facts: await readClusterFacts(pool),
        binaries: own.cluster.options.binaries,
        target: own.replication,
        regions,
        keys,
        listDatabases: async () => {
          const tenants = await pool.query<{ name: string; tenantId: TenantId }>(
            'SELECT database_name AS name, tenant_id AS "tenantId" FROM tenants WHERE database_name IS NOT NULL',
          );
          const owners = new Map(tenants.map(({ name, tenantId }) => [name, tenantId]));
          return (await readDatabases(pool)).map(({ oid, name }) => ({ oid, name, tenantId: owners.get(name) }));
        },
        checkpoint: 'fast',
        log: silentLog,
      });
    },
    async create(name) {
      const operation = await run('create', undefined, { name, adminEmail: 'ada@example.com' });
      assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
      return lifecycle.getTenant(name);
    },
    async restore(idOrName, wanted, newName) {
      const { tenantId, moment } = await lifecycle.findRestoreSource(idOrName, wanted);
      const input = { moment, ...(newName !== undefined && { newName }) };
      const started = await lifecycle.startOperation('restore', tenantId, input, 'os:test');
      const ended = await lifecycle.waitForOperation(started.operationId);
      assert.deepEqual(await readdir(scratchFolder), []);
      return ended;
    },
    async write({ tenantId }, ...statements) {
      await databases.app.transact(tenantId, async (db) => {
        for (const statement of statements) await db.query(statement);
      });
    },
    async notes({ tenantId }) {
      const rows = await databases.app.read(tenantId, (db) =>
        db.query<{ text: string }>('SELECT text FROM notes ORDER BY note_id'),
      );
      return rows.map(({ text }) => text);
    },
    async moment() {
      const found = await later(await clockNow());
      await later(found);
      return new Date(found);
    },
    async remove() {
      await shipper.stop();
      await world.stop();
      await own.remove();
    },
  };
}
