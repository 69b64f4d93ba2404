import type { ShippingReport } from '#src/backups/index.ts';
import type { RecoveredServer } from '#src/clusters/index.ts';
import { FreeholdError, formatLsn, type Lsn, parseLsn, waitFor } from '#src/kernel/index.ts';
import { openConnection, type Pool, type Queryable, readFlushedPlace } from '#src/postgres/index.ts';
import { mainErrors } from './errors.ts';
import { controlDatabase, controlRole } from './secrets.ts';

export interface Canaries {
  /** Writes one and waits until a region holds it: what was committed before is restorable then, also on a server where nothing else moves. */
  fly(): Promise<void>;
  /** After a recovery to `until`: throws FH_RESTORE_CANARY_MISSING unless exactly the canaries of the time before are there. */
  check(server: RecoveredServer, until: Date | undefined): Promise<void>;
}

const shippedWithinMs = 20_000;

/** @param report of the shipper; undefined: it says nothing */
export function createCanaries({ pool, report }: { pool: Pool; report: () => ShippingReport | undefined }): Canaries {
  return {
    async fly() {
      await pool.query('INSERT INTO canaries DEFAULT VALUES');
      const flushed = await readFlushedPlace(pool);
      const isSomewhere = () => {
        const said = report();
        return said?.regions.some(({ region }) => isShipped(said, region, flushed));
      };
      // When it does not come, the plan says what is missing; that tells more than we could.
      await waitFor(`a region to hold ${formatLsn(flushed.lsn)}`, isSomewhere, {
        deadlineMs: shippedWithinMs,
        everyMs: 50,
      }).catch(() => {});
    },
    async check(server, until) {
      const connection = await openConnection(server.connectionTarget(controlDatabase, controlRole), {
        applicationName: 'freehold restore',
      });
      try {
        const found = await count(connection, until);
        const wanted = until && (await count(pool, until));
        const isRight = found.all > 0 && (!wanted || (found.before === wanted.before && found.after === 0));
        if (!isRight)
          throw mainErrors.FH_RESTORE_CANARY_MISSING({
            detail: `${found.before} of ${wanted?.before ?? 'at least 1'} are there, and ${found.after} of a later time`,
          });
      } catch (error) {
        throw error instanceof FreeholdError ? error : mainErrors.FH_RESTORE_CANARY_MISSING({ cause: error });
      } finally {
        await connection.close();
      }
    },
  };
}

/** @returns whether the region holds this place of the primary. A shipper that is still on a former timeline knows nothing of it. */
export function isShipped(
  report: ShippingReport,
  region: string,
  { timeline, lsn }: { readonly timeline: number; readonly lsn: Lsn },
): boolean {
  const found = report.regions.find((each) => each.region === region);
  return report.timeline >= timeline && found !== undefined && parseLsn(found.shipped) >= lsn;
}

/** Between the time in the row and its commit. */
const commitWithinMs = 5_000;

async function count(db: Queryable, until: Date | undefined): Promise<{ all: number; before: number; after: number }> {
  const [row] = await db.query<{ all: number; before: number; after: number }>(
    `SELECT count(*)::int AS all, count(*) FILTER (WHERE written_at <= $1)::int AS before,
            count(*) FILTER (WHERE written_at > $2)::int AS after FROM canaries`,
    until ? [new Date(until.getTime() - commitWithinMs), until] : [null, null],
  );
  return row!;
}
