/** For tests: a region with ten days of a backup and a segment a day, sealed as in the product, and control's own database. */
import { cp, mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '#src/databases/index.ts';
import type { Clock } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { createPool, type Pool, type Queryable } from '#src/postgres/index.ts';
import { startTestCluster } from '../../../test/support/cluster.ts';
import { at, backupId, clusterId, database, tenantId } from '../catalogue/catalogue.fixture.ts';
import { keys, openSealedRegion } from '../catalogue/sealed-region.fixture.ts';
import { createRetentionHolds } from './holds.ts';
import type { RunRetentionOptions } from './run.ts';

export const daySeconds = 86_400;
/** Retention of five days at the end of day 10: the horizon is day 5. */
export const policy = { days: 5, fullEveryDays: 2 };
export const clock: Clock = { now: () => at(10 * daySeconds).getTime(), monotonicMs: () => 0 };

/** Two tenants with the same OID, one a cluster's backup each. */
export const owners = [tenantId('a'), tenantId('b')] as const;
export const dataName = (owner: string, day: number) => `data/${owner}/${backupId(`d${day}`)}_20000`;
export const manifestOfDay = (day: number) => `base/${clusterId}/${backupId(`d${day}`)}/manifest`;

type SealedWorld = Awaited<ReturnType<typeof openSealedRegion>>;

export async function plantTenDays({ putBase, putPiece }: Pick<SealedWorld, 'putBase' | 'putPiece'>): Promise<void> {
  for (let day = 0; day < 10; day++) {
    const databases = owners.map((owner, index) =>
      database(`t_${index}`, 20_000 + index, owner, { object: dataName(owner, day) }),
    );
    const base = { id: `d${day}`, start: day * 4 + 1, stop: day * 4 + 2, finishedAt: day * daySeconds, databases };
    await putBase(base, at(day * daySeconds));
    const piece = { kind: 'segment', start: day * 4, end: day * 4 + 4 } as const;
    await putPiece(piece, at(day * daySeconds + daySeconds / 2));
  }
}

export async function startRetentionWorld() {
  const folder = await mkdtemp(join(tmpdir(), 'freehold-retention-'));
  const cluster = await startTestCluster();
  await migrate(cluster.control, {
    schema: 'public',
    folder: new URL('../../../migrations/control/', import.meta.url),
  });
  const db: Pool = createPool(cluster.control, { max: 4, applicationName: 'test' });
  const template = join(folder, 'template');
  const planted = await openSealedRegion(template);
  await plantTenDays(planted);
  let copies = 0;

  return {
    cluster,
    db,
    folder,
    /** A region of its own with the ten days, and a database that knows nothing of it yet. */
    async openRegion() {
      const root = join(folder, `copy${copies++}`);
      await cp(template, root, { recursive: true, preserveTimestamps: true });
      const { region, put } = await openSealedRegion(root);
      await db.query('TRUNCATE regions, region_orphans, unreferenced_files, backups, backup_copies, wal_stretches');
      // So long ago that no run begins with it.
      await db.query('INSERT INTO regions (region, set_up_at) VALUES ($1, $2)', [region.region, at(100 * daySeconds)]);
      const names = async () => (await Array.fromAsync(region.list(''))).map(({ name }) => name);
      const setTime = async (name: string, time: Date) => utimes(join(root, name), time, time);
      return { root, region, put, names, setTime };
    },
    options: (region: RegionStore, more: Partial<RunRetentionOptions> = {}): RunRetentionOptions => ({
      region,
      policy,
      db,
      keys: { ...keys, destroyedOwners: async () => [] },
      holds: createRetentionHolds(),
      clusterId,
      readOwed: () => new Map(),
      findUnneededFiles: async () => [],
      clock,
      ...more,
    }),
    async stop() {
      await db.stop();
      await cluster.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** What the journal says of each run, the newest first. */
export async function listRuns(db: Queryable) {
  const rows = await db.query<{ finishedAt: Date | null; objects: string; bytes: string }>(
    `SELECT finished_at AS "finishedAt", removed_objects AS objects, removed_bytes AS bytes FROM retention_runs ORDER BY run_id DESC`,
  );
  return rows.map(({ finishedAt, objects, bytes }) => ({
    finishedAt: finishedAt ?? undefined,
    removedObjects: Number(objects),
    removedBytes: Number(bytes),
  }));
}
