import { recordAudit } from '#src/audit/index.ts';
import { createShipperLink, type ShipperLink } from '#src/backups/index.ts';
import { type Clock, type ClusterId, failpoint, type Log, newId } from '#src/kernel/index.ts';
import type { KeyStore } from '#src/keys/index.ts';
import type { BackupKey, BackupKeys, KeyId, KeyOwner } from '#src/keys/types.ts';
import type { Pool, Queryable } from '#src/postgres/index.ts';
import { publish } from './cluster.ts';
import type { ClusterFolders } from './folders.ts';
import { recordRotations } from './key-rotations.ts';

/** Control's side of shipping the WAL of one cluster: its id, its key and the socket of its shipper. */
export interface ClusterShipping {
  readonly clusterId: ClusterId;
  readonly shipper: ShipperLink;
  /** A new version of the cluster's key, under which everything of the cluster is sealed from now on; what is sealed stays readable. */
  rotateKey(): Promise<KeyId>;
  /** Called when WAL is lost that no region holds. */
  whenGap(act: () => void): void;
}

/** @param name of the cluster, in the registry: its id is made once */
export async function createClusterShipping({
  name,
  folders,
  pool,
  keys,
  currentKey,
  clock,
  log,
}: {
  readonly name: string;
  readonly folders: Pick<ClusterFolders, 'shipperSocket' | 'clusterIdFile'>;
  /** Control's own database. */
  readonly pool: Pool;
  readonly keys: Pick<KeyStore & BackupKeys, 'createKey' | 'currentKey' | 'openKey' | 'rotateKey'>;
  /** A key that lies in a region. */
  readonly currentKey: (owner: KeyOwner) => Promise<BackupKey>;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<ClusterShipping> {
  const clusterId = await ensureCluster(pool, name, new Date(clock.now()));
  publish(folders.clusterIdFile, clusterId, 0o600);
  await keys.createKey(clusterId);
  await recordRotations(pool, clusterId, (await keys.currentKey(clusterId)).keyId);
  let onGap: (() => void) | undefined;
  const shipper = createShipperLink({
    socketPath: folders.shipperSocket,
    // The folder is entered only by control and the shipper.
    mode: 0o666,
    port: {
      clusterId,
      currentKey: () => currentKey(clusterId),
      openKey: (keyId) => keys.openKey(keyId),
      onNotice: async ({ kind, details }) => {
        // Moments inside the gap are lost; those after it need a base backup that begins after it.
        if (kind === 'wal.gap') onGap?.();
        await recordAudit(pool, {
          name: 'backup.shipping_changed',
          actor: 'system',
          subject: clusterId,
          details: { kind, ...details },
        });
      },
    },
    log,
  });
  return {
    clusterId,
    shipper,
    async rotateKey() {
      const keyId = await keys.rotateKey(clusterId);
      await failpoint('backups.key.rotated');
      // Before anything that may fail: it is rotated, whoever has it.
      await recordRotations(pool, clusterId, keyId);
      // The first who asks for it brings it to the regions; when none takes it, the older one stays in use until one does.
      await currentKey(clusterId);
      await failpoint('backups.key.published');
      await shipper.pushKey();
      return keyId;
    },
    whenGap(act) {
      onGap = act;
    },
  };
}

/** The id of a cluster of ours by its name; made once. */
async function ensureCluster(db: Queryable, name: string, now: Date): Promise<ClusterId> {
  const [row] = await db.query<{ clusterId: ClusterId }>(
    `WITH made AS (INSERT INTO clusters (cluster_id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING RETURNING cluster_id)
     SELECT cluster_id AS "clusterId" FROM made UNION ALL SELECT cluster_id FROM clusters WHERE name = $2 LIMIT 1`,
    [newId('clu'), name, now],
  );
  return row!.clusterId;
}
