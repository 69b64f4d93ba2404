/** For tests: a server whose base backups and WAL lie in two regions, and plans made from one region alone. */
import path from 'node:path';
import { type Lsn, silentLog, waitFor } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { readFlushedPlace } from '#src/postgres/index.ts';
import { runBaseBackup } from '../base/index.ts';
import { startWorld, type World } from '../base/world.fixture.ts';
import {
  buildCatalogue,
  createCatalogueReader,
  type PlanRequest,
  type PlanResult,
  planRestore,
  type RestorePlan,
} from '../catalogue/index.ts';
import type { ShippingEvent } from '../shipping/events.ts';
import { type Shipper, type ShipperOptions, startShipper } from '../shipping/shipper.ts';
import type { BackupManifest } from '../types.ts';

export interface RestoreWorld extends World {
  readonly north: RegionStore;
  readonly south: RegionStore;
  takeBackup(): Promise<BackupManifest>;
  /** Of the shippers that run here, one after the other. */
  readonly events: readonly ShippingEvent[];
  shipper(): Shipper;
  /** Stops the shipper, does the work, and starts another. */
  restartShipper(options?: Partial<ShipperOptions>, between?: () => Promise<unknown>): Promise<Shipper>;
  /** Resolves when both regions hold everything that is flushed; @returns its end */
  shipped(): Promise<Lsn>;
  /** A moment with no commit beside it, by the server's clock; a commit after it is in the WAL. */
  moment(): Promise<Date>;
  tryPlan(region: RegionStore, target: PlanRequest['target'], wanted: PlanRequest['wanted']): Promise<PlanResult>;
  plan(region: RegionStore, target: PlanRequest['target'], wanted: PlanRequest['wanted']): Promise<RestorePlan>;
}

export async function startRestoreWorld(): Promise<RestoreWorld> {
  const world = await startWorld();
  const { clusterId, keys, own } = world;
  const [north, south] = await world.newRegions();
  const findKey = async (keyId: Parameters<typeof keys.openKey>[0]) => (await keys.openKey(keyId)).key;
  const events: ShippingEvent[] = [];
  const start = async (options: Partial<ShipperOptions> = {}) =>
    startShipper({
      clusterId,
      findPrimary: async () => own.replication,
      regions: [north, south],
      key: await keys.currentKey(clusterId),
      findKey,
      spoolDir: path.join(own.folder, 'spool'),
      log: silentLog,
      onEvent: (event) => void events.push(event),
      ...options,
    });
  let shipper = await start();
  await world.control.query('CREATE TABLE canary (n int)');

  const restoreWorld: RestoreWorld = {
    ...world,
    north,
    south,
    events,
    // Spread above it would be read once; after a restart of the server there is another.
    get control() {
      return world.control;
    },
    shipper: () => shipper,
    async restartShipper(options, between) {
      await shipper.stop();
      await between?.();
      shipper = await start(options);
      return shipper;
    },
    async takeBackup() {
      return (await runBaseBackup(await world.options([north, south]))).manifest;
    },
    async shipped() {
      const { timeline, lsn } = await readFlushedPlace(world.control);
      const isShipped = () => {
        const status = shipper.status();
        return status.timeline >= timeline && status.regions.every(({ shipped }) => shipped >= lsn);
      };
      await waitFor('both regions to hold it', isShipped, { deadlineMs: 60_000 });
      return lsn;
    },
    async moment() {
      const clock = async () =>
        (await world.control.query<{ now: Date }>('SELECT clock_timestamp() AS now'))[0]!.now.getTime();
      const after = async (time: number) =>
        waitFor('the next millisecond', async () => {
          const now = await clock();
          return now > time + 1 && now;
        });
      const moment = await after(await clock());
      await after(moment);
      await world.control.query('INSERT INTO canary VALUES (1)');
      return new Date(moment);
    },
    async tryPlan(region, target, wanted) {
      await restoreWorld.shipped();
      const catalogue = await buildCatalogue({ region, reader: createCatalogueReader(region, keys) });
      const [row] = await world.control.query<{ now: Date }>('SELECT clock_timestamp() AS now');
      return planRestore({ catalogue, clusterId, target, wanted, now: new Date(row!.now.getTime() + 60_000) });
    },
    async plan(region, target, wanted) {
      const result = await restoreWorld.tryPlan(region, target, wanted);
      if (result.outcome !== 'plan') throw new Error(`no plan: ${result.outcome}`);
      return result.plan;
    },
    async remove() {
      await shipper.stop();
      await world.remove();
    },
  };
  return restoreWorld;
}
