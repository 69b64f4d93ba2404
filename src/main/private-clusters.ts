import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ShippingReport } from '#src/backups/index.ts';
import {
  createDatabaseAdmin,
  type MigrateOptions,
  migrate,
  newClusterName,
  type OtherServer,
} from '#src/databases/index.ts';
import { type Clock, type ClusterId, failpoint, type Log, type TenantId } from '#src/kernel/index.ts';
import { type ConnectionTarget, createPool, type Pool } from '#src/postgres/index.ts';
import { type PrivateServersPort, type RestorePort, selectPrivateClusters } from '#src/tenants/index.ts';
import type { BackupServices } from './backup-services.ts';
import type { BaseBackups } from './base-backups.ts';
import { type Canaries, createCanaries } from './canaries.ts';
import type { ClusterShipping } from './cluster-shipping.ts';
import { mainErrors } from './errors.ts';
import { type Folders, foldersOfCluster } from './folders.ts';
import type { ClusterSources } from './health.ts';
import { type Channel, createCalls } from './ipc-calls.ts';
import { privateServerMethods } from './private-servers.ts';
import { readDatabaseSecret } from './secrets.ts';

/** What keeps a cluster's content in the regions. */
export interface ClusterBackups {
  readonly shipping: ClusterShipping;
  readonly canaries: Canaries;
  readonly baseBackups: BaseBackups;
  readonly restores: RestorePort;
}

/** A PostgreSQL server that is there for one tenant, as control works with it. */
export interface PrivateCluster extends OtherServer {
  readonly name: string;
  readonly folders: Folders;
  readonly target: ConnectionTarget;
  /**
   * Its books: a database like control's own, in which only its canaries and the ledger of its tenants are kept, because what a restore asks about a moment must be in
   * the same WAL as the moment.
   */
  readonly books: Pool;
  /** undefined: nothing is shipped. */
  readonly backups: ClusterBackups | undefined;
  close(): Promise<void>;
}

export interface PrivateClustersOptions {
  readonly folders: Folders;
  /** To the supervisor; undefined: this control has none, and starts no servers. */
  readonly channel: Channel | undefined;
  /** Control's own database. */
  readonly db: Pool;
  readonly controlMigrations: MigrateOptions['folder'];
  readonly backups: BackupServices | undefined;
  /** Once the server is there. */
  readonly openBackups: (
    cluster: Pick<PrivateCluster, 'name' | 'folders' | 'target' | 'books'>,
    shipping: ClusterShipping,
    canaries: Canaries,
  ) => Pick<ClusterBackups, 'baseBackups' | 'restores'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of what was counted on it, for verification: a place in one server's WAL says nothing about another's. */
export const ledgerFolderOf = ({ control }: Folders, cluster: string): string =>
  join(control, cluster === 'main' ? 'ledgers' : `ledgers-${cluster}`);

export type PrivateClusters = ReturnType<typeof createPrivateClusters>;

/**
 * Tenants and the servers that must be there for them: those that they are on, and those that they were on, because what they were then is restored with their books.
 * One that is being made is looked after by the operation that makes it.
 */
const needed = `SELECT t.tenant_id AS "tenantId", c.cluster FROM tenants t CROSS JOIN LATERAL
    (SELECT t.cluster UNION SELECT split_part(l.database_name, '_', 3) FROM tenant_ledger l WHERE l.tenant_id = t.tenant_id) c (cluster)
  WHERE c.cluster NOT IN ('main', '') AND t.state <> 'creating' AND (t.state <> 'deleted' OR t.key_due_at IS NOT NULL)`;
const poolSize = 6;
/** A server that was ended in the middle of something replays it first. */
const startWithinMs = 600_000;
const removeWithinMs = 300_000;

/** Servers of tenants of the Private Cloud edition (docs/decisions/0044): found by name, opened once, kept equal to the registry in what their own books need. */
export function createPrivateClusters(options: PrivateClustersOptions) {
  const { folders, channel, db, backups, log } = options;
  const supervisor = channel && createCalls(channel, {});
  const opened = new Map<string, Promise<PrivateCluster>>();
  /** Those that are open at the moment, for figures that cannot wait. */
  const present = new Map<string, PrivateCluster>();

  /** Whose only base backup was begun before their tenant was there. */
  const fresh = new Set<string>();

  async function ask(method: string, cluster: string, deadlineMs: number): Promise<void> {
    if (!supervisor) throw mainErrors.FH_SERVER_MISSING({ detail: 'this control was started without a supervisor' });
    await supervisor.call(method, [cluster], deadlineMs);
  }

  async function open(name: string): Promise<PrivateCluster> {
    const own = foldersOfCluster(folders, name);
    const target = readDatabaseSecret(own);
    await migrate(target, { schema: 'public', folder: options.controlMigrations });
    const books = createPool(target, { max: poolSize, applicationName: 'freehold control' });
    const base = { name, folders: own, target, books };
    const admin = createDatabaseAdmin({ pool: books, target, log });
    const shipping = await backups?.openCluster(name, own);
    await shipping?.shipper.start();
    const canaries = shipping && createCanaries({ pool: books, report: () => shipping.shipper.report });
    const kept = shipping && canaries && { shipping, canaries, ...options.openBackups(base, shipping, canaries) };
    shipping?.whenGap(() => kept?.baseBackups.start());
    return {
      ...base,
      admin,
      backups: kept,
      // A transaction that wrote something is waited for; what was committed before it lies before it.
      flush: () => books.transaction(async (tx) => void (await tx.query('SELECT pg_current_xact_id()'))),
      async close() {
        await kept?.baseBackups.stop();
        await kept?.shipping.shipper.stop();
        await books.stop();
      },
    };
  }

  function find(name: string): Promise<PrivateCluster> {
    const known = opened.get(name);
    if (known) return known;
    const opening = (async () => {
      await ask(privateServerMethods.start, name, startWithinMs);
      const cluster = await open(name);
      present.set(name, cluster);
      return cluster;
    })();
    opened.set(name, opening);
    // A failure is not remembered: the next call tries again.
    opening.catch(() => opened.delete(name));
    return opening;
  }

  const port: PrivateServersPort = {
    newName: newClusterName,
    async make(name) {
      await ask(privateServerMethods.make, name, startWithinMs);
      await failpoint('servers.made');
      const { backups: kept } = await find(name);
      // Without it no moment can be restored. Nobody waits for it; when it fails, the job comes round.
      kept?.baseBackups.start();
      fresh.add(name);
    },
    async remove(name) {
      const cluster = await opened.get(name)?.catch(() => undefined);
      opened.delete(name);
      present.delete(name);
      fresh.delete(name);
      await cluster?.close();
      await ask(privateServerMethods.remove, name, removeWithinMs);
      await failpoint('servers.removed');
      await rm(ledgerFolderOf(folders, name), { recursive: true, force: true });
      await rm(foldersOfCluster(folders, name).clusterIdFile, { force: true });
      const [row] = await db.query<{ clusterId: ClusterId }>(
        'SELECT cluster_id AS "clusterId" FROM clusters WHERE name = $1',
        [name],
      );
      if (row) await backups?.forgetCluster(row.clusterId);
    },
  };

  /** Brings the tenant's row to the books of its server. Their own trigger writes the ledger, with the place in their own WAL. */
  async function mirror(tenantId: TenantId): Promise<void> {
    const clusters = await selectPrivateClusters(db, tenantId);
    if (clusters.length === 0) return;
    const [row] = await db.query<{ content: string; state: string }>(
      'SELECT to_jsonb(t)::text AS content, state FROM tenants t WHERE tenant_id = $1',
      [tenantId],
    );
    for (const cluster of clusters) {
      try {
        const { books, backups: kept } = await find(cluster);
        await write(books, row!.content);
        // With the tenant in it: a restore need not replay all that it ever wrote, and there is something to verify.
        if (row!.state === 'active' && fresh.delete(cluster)) kept?.baseBackups.startAfresh();
      } catch (error) {
        // Whatever is done to the tenant must not wait for it: a job comes round and makes up for it.
        log.error('the books of a private server could not be kept', { cluster, tenantId, error });
      }
    }
  }

  async function write(books: Pool, content: string): Promise<void> {
    await books.query(
      `INSERT INTO tenants (tenant_id, name, title, state, edition, cluster, app, admin_email, database_name, created_at, state_changed_at,
                            recovery_point, key_due_at)
       SELECT tenant_id, name, title, state, edition, cluster, app, '', database_name, created_at, state_changed_at, recovery_point, key_due_at
       FROM jsonb_populate_record(NULL::tenants, $1::jsonb)
       ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name, title = excluded.title, state = excluded.state,
         state_changed_at = excluded.state_changed_at, edition = excluded.edition, cluster = excluded.cluster, database_name = excluded.database_name, recovery_point = excluded.recovery_point,
         key_due_at = excluded.key_due_at`,
      [content],
    );
  }

  return {
    port: supervisor && port,
    find,
    mirror,
    /** Those that are open at the moment. */
    list: (): PrivateCluster[] => [...present.values()],
    /** What the shippers say, by cluster. */
    shippingReports(): Map<ClusterId, ShippingReport | undefined> {
      const kept = [...present.values()].flatMap(({ backups: own }) => own ?? []);
      return new Map(kept.map(({ shipping }) => [shipping.clusterId, shipping.shipper.report]));
    },
    /** Every server that a tenant needs, for those who look at how they are. */
    async sources(): Promise<ClusterSources[]> {
      const names = await db.query<{ name: string }>(`SELECT DISTINCT cluster AS name FROM (${needed}) n ORDER BY 1`);
      return names.map(({ name }) => {
        const cluster = present.get(name);
        return {
          name,
          folders: foldersOfCluster(folders, name),
          db: cluster?.books,
          shipping: backups && (() => cluster?.backups?.shipping.shipper.report),
        };
      });
    },
    /** In the background: nobody else waits for them. What a kill left behind in their books is made up for. */
    async openAll(): Promise<void> {
      const tenants = await db.query<{ tenantId: TenantId }>(`SELECT DISTINCT "tenantId" FROM (${needed}) n`);
      await Promise.all(tenants.map(({ tenantId }) => mirror(tenantId)));
    },
    async stop(): Promise<void> {
      await Promise.all([...present.values()].map((cluster) => cluster.close()));
    },
  };
}
