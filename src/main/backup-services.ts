import { setTimeout as delay } from 'node:timers/promises';
import { recordAudit } from '#src/audit/index.ts';
import type { ShipperLink } from '#src/backups/index.ts';
import type { Clock, ClusterId, Log } from '#src/kernel/index.ts';
import {
  type BackupKeys,
  createKeyEscrow,
  escrowTenantKeys,
  type KeyStore,
  type RecoveryKits,
} from '#src/keys/index.ts';
import type { BackupKey, KeyId, KeyOwner } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { Pool, Queryable } from '#src/postgres/index.ts';
import { type ClusterShipping, createClusterShipping } from './cluster-shipping.ts';
import type { Config } from './config.ts';
import type { Folders } from './folders.ts';
import { openRegions, type RegionKeys } from './regions.ts';
import type { Shutdown } from './shutdown.ts';

const reconcileEveryMs = 5 * 60_000;
/** While a region could not be reached. */
const retryAfterMs = 15_000;

export interface BackupServices {
  readonly clusterId: ClusterId;
  readonly regions: readonly RegionStore[];
  /** The key store whose tenant keys lie in the regions before they are used. */
  readonly keys: KeyStore;
  readonly shipper: ShipperLink;
  /** The page of a new kit when there is none yet: to be shown once and kept nowhere. */
  makeFirstKit(): Promise<string | undefined>;
  /** The page of a new kit; the older ones open nothing any more. */
  replaceKits(): Promise<string>;
  /** The key to seal under: it lies in a region before it is given out. */
  currentKey(owner: KeyOwner): Promise<BackupKey>;
  /** A new version of the cluster's key, under which everything of the cluster is sealed from now on; what is sealed stays readable. */
  rotateClusterKey(): Promise<KeyId>;
  /** Called when WAL is lost that no region holds. */
  whenGap(act: () => void): void;
  /** The same for another cluster, whose folders these are. */
  openCluster(name: string, folders: Pick<Folders, 'shipperSocket' | 'clusterIdFile'>): Promise<ClusterShipping>;
  /** Destroys the key of a cluster that is gone, here and in the regions: nobody can read its WAL any more. */
  forgetCluster(clusterId: ClusterId): Promise<void>;
  /** Begins to keep the regions equal to the key store. */
  start(): void;
}

/** What control does for backups: regions, copies of wrapped keys, recovery kits, and the shipper's socket. */
export async function createBackupServices({
  config,
  regionKeys,
  folders,
  pool,
  keys,
  clock,
  log,
  shutdown,
}: {
  readonly config: Config;
  readonly regionKeys: RegionKeys;
  readonly folders: Folders;
  readonly pool: Pool;
  readonly keys: KeyStore & BackupKeys & RecoveryKits;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}): Promise<BackupServices> {
  const now = () => new Date(clock.now());
  const known = new Set(await selectRegions(pool));
  const regions = await openRegions(config.regions, regionKeys, { initialise: (region) => !known.has(region) });
  await setUpRegions();
  const escrow = createKeyEscrow({ keys, regions });
  const published = new Set<KeyId>();
  /** Also a version that was made just before a crash. */
  async function currentKey(owner: KeyOwner): Promise<BackupKey> {
    const key = await keys.currentKey(owner);
    if (!published.has(key.keyId)) await escrow.publish(key.keyId);
    published.add(key.keyId);
    return key;
  }

  const openCluster = (name: string, of: Pick<Folders, 'shipperSocket' | 'clusterIdFile'>) =>
    createClusterShipping({ name, folders: of, pool, keys, currentKey, clock, log });
  const main = await openCluster('main', folders);
  const { clusterId, shipper } = main;

  /** An empty folder becomes a region once, at the first start that finds it. */
  async function setUpRegions(): Promise<boolean> {
    for (const store of regions.filter(({ region }) => !known.has(region))) {
      try {
        await store.stat('installation');
        await insertRegion(pool, store.region, now());
        known.add(store.region);
      } catch (error) {
        log.warn('a region cannot be set up yet', { region: store.region, error });
      }
    }
    return known.size === regions.length;
  }

  const stopping = new AbortController();
  const { signal } = stopping;
  async function keepEqual(): Promise<void> {
    while (!signal.aborted) {
      const complete = (await setUpRegions()) && (await reconcile());
      await delay(complete ? reconcileEveryMs : retryAfterMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async function reconcile(): Promise<boolean> {
    const reports = await escrow.reconcile().catch((error) => {
      log.error('the keys in the regions could not be looked at', { error });
      return [];
    });
    for (const { region, conflicts, unknown, owed } of reports) {
      if (conflicts.length + unknown.length > 0)
        log.error('a region holds keys that are not ours', { region, conflicts, unknown });
      if (owed) log.warn('a region lacks keys', { region, error: owed });
    }
    return reports.length === regions.length && reports.every(({ owed }) => !owed);
  }

  return {
    clusterId,
    regions,
    keys: escrowTenantKeys(keys, escrow),
    currentKey,
    rotateClusterKey: () => main.rotateKey(),
    openCluster,
    async forgetCluster(gone) {
      await escrow.forget(gone);
      published.clear();
    },
    shipper,
    async makeFirstKit() {
      if ((await keys.recoveryKits()).length > 0) return undefined;
      const { text } = await keys.createRecoveryKit(now());
      await escrow.publishKits();
      return text;
    },
    async replaceKits() {
      const { kitId, text } = await keys.createRecoveryKit(now());
      await escrow.publishKits();
      await keys.retireKits(kitId);
      await reconcile();
      await recordAudit(pool, { name: 'backup.kit_replaced', actor: 'os:operator', subject: kitId });
      return text;
    },
    whenGap: (act) => main.whenGap(act),
    start() {
      const running = keepEqual();
      shutdown.add('keys in the regions', 10_000, async () => {
        stopping.abort();
        await running;
      });
    },
  };
}

async function selectRegions(db: Queryable): Promise<string[]> {
  return (await db.query<{ region: string }>('SELECT region FROM regions')).map(({ region }) => region);
}

async function insertRegion(db: Queryable, region: string, now: Date): Promise<void> {
  await db.query('INSERT INTO regions (region, set_up_at) VALUES ($1, $2) ON CONFLICT DO NOTHING', [region, now]);
}
