import { setTimeout as delay } from 'node:timers/promises';
import type { FileReplicator } from '#src/backups/index.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import type { Shutdown } from './shutdown.ts';

const everyMs = 30_000;
/** Everybody, also tenants that nobody has used since. */
const everybodyEveryMs = 15 * 60_000;
/** Use is told by gateways every half minute. */
const toldWithinMs = 90_000;

/** Brings to the regions what an upload could not wait for: of tenants that were used just now every half minute, of all every quarter of an hour. */
export function startFileReplication({
  replicator,
  pool,
  clock,
  log,
  shutdown,
}: {
  readonly replicator: FileReplicator;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}): void {
  const stopping = new AbortController();
  const { signal } = stopping;

  async function run(): Promise<void> {
    let everybodyAtMs = Number.NEGATIVE_INFINITY;
    let owed = false;
    while (!signal.aborted) {
      const nowMs = clock.monotonicMs();
      const everybody = owed || nowMs - everybodyAtMs >= everybodyEveryMs;
      try {
        const results = await replicator.replicate(await selectTenants(everybody), signal);
        owed = results.some((result) => result.owed);
        if (everybody) everybodyAtMs = nowMs;
      } catch (error) {
        if (!signal.aborted) log.error('files could not be brought to the regions', { error });
      }
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async function selectTenants(everybody: boolean): Promise<TenantId[]> {
    const since = new Date(clock.now() - everyMs - toldWithinMs);
    const rows = await pool.query<{ tenantId: TenantId }>(
      `SELECT tenant_id AS "tenantId" FROM tenants
       WHERE state NOT IN ('requested', 'deleted') AND ($1 OR last_used_at >= $2 OR state_changed_at >= $2)`,
      [everybody, since],
    );
    return rows.map(({ tenantId }) => tenantId);
  }

  const running = run();
  shutdown.add('files for the regions', 10_000, async () => {
    stopping.abort();
    await running;
  });
}
