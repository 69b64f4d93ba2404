import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, FreeholdError, failpoint, type Log, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { ControlDatabase } from '#src/tenants/index.ts';
import type { PluginRegistry } from './registry.ts';
import type { PluginRuns } from './runs.ts';
import * as sql from './sql.ts';
import { findSettledPosition, selectEventsAfter, type TenantEvent } from './state.ts';
import type { Plugin } from './types.ts';

export interface PluginScheduleDeps {
  readonly db: ControlDatabase;
  readonly runs: Pick<PluginRuns, 'run' | 'endForbidden'>;
  readonly transact: <T>(tenantId: TenantId, work: (db: Queryable) => Promise<T>) => Promise<T>;
  readonly registry: Pick<PluginRegistry, 'disableReplaced' | 'sweep'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Default 5 s. */
  readonly everyMs?: number;
}

const batch = 50;
/** No transaction that writes an event takes longer: until then a lower position may become visible after a higher one. */
const settledAfterSeconds = 15 * 60;
const sweepEveryMs = 60 * 60_000;

/** Runs what is due and what has events. A schedule that was missed while Freehold was away is run once; events are handed over at least once, in batches. */
export function createPluginSchedule({
  db,
  runs,
  registry,
  transact,
  clock,
  log,
  everyMs = 5_000,
}: PluginScheduleDeps): {
  start(): void;
  stop(): Promise<void>;
  /** One look; resolves when everything that it began has ended. */
  look(): Promise<void>;
} {
  const stopping = new AbortController();
  let looping: Promise<void> | undefined;
  let sweptMs = Number.NEGATIVE_INFINITY;
  const looks = new Set<Promise<void>>();

  async function look(): Promise<void> {
    await registry.disableReplaced();
    await runs.endForbidden();
    const now = new Date(clock.now());
    const [due, listening] = await Promise.all([sql.selectDue(db, now), sql.selectListening(db, now)]);
    await Promise.all([
      ...due.map((plugin) => guarded(plugin, async () => void (await runs.run(plugin, { trigger: 'schedule' })))),
      ...listening.map((plugin) => guarded(plugin, () => handOver(plugin))),
    ]);
  }

  async function handOver(plugin: Plugin): Promise<void> {
    const { tenantId, name, manifest } = plugin;
    const cursor = await sql.findCursor(db, tenantId, name);
    if (!cursor) return;
    const { settled, found } = await transact(tenantId, async (own) => ({
      // Before the events are read: whatever it covers is among them.
      settled: await findSettledPosition(own, settledAfterSeconds),
      found: await selectEventsAfter(own, manifest.capabilities.events, cursor, batch),
    }));
    if (found.length > 0) {
      const events = found.map(({ position: _position, at, ...event }) => ({ ...event, at: at.toISOString() }));
      const { outcome } = await runs.run(plugin, { trigger: 'events', events });
      if (outcome !== 'succeeded') return;
      await failpoint('plugins.events.handled');
    }
    const next = moved(cursor, found, found.length < batch ? settled : cursor.position);
    if (found.length > 0 || isWorthKeeping(cursor, next)) await sql.setCursor(db, plugin, next);
  }

  /** One that cannot run keeps none of the others from it. */
  async function guarded(plugin: Plugin, work: () => Promise<void>): Promise<void> {
    await work().catch((error) => {
      const isPassing = error instanceof FreeholdError && error.retry !== 'never';
      if (!isPassing) log.warn('a plugin could not be run', { tenantId: plugin.tenantId, plugin: plugin.name, error });
    });
  }

  async function loop(): Promise<void> {
    const { signal } = stopping;
    while (!signal.aborted) {
      // Not waited for: one that takes long keeps none of the others from its time.
      const looking = look()
        .catch((error) => log.warn('plugins could not be looked at', { error }))
        .finally(() => looks.delete(looking));
      looks.add(looking);
      if (clock.monotonicMs() - sweptMs > sweepEveryMs) {
        sweptMs = clock.monotonicMs();
        await registry.sweep().catch((error) => log.warn('plugins could not be swept', { error }));
      }
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  return {
    look,
    start() {
      looping ??= loop();
    },
    async stop() {
      stopping.abort();
      await looping;
      await Promise.all(looks);
    },
  };
}

/** The position goes only over what can have no new earlier neighbour; what was handled beyond it is remembered one by one. */
function moved(cursor: sql.EventCursor, handled: readonly TenantEvent[], settled: string): sql.EventCursor {
  const position = BigInt(settled) > BigInt(cursor.position) ? settled : cursor.position;
  const all = [...cursor.beyond, ...handled.map((event) => event.position)];
  return { position, beyond: all.filter((each) => BigInt(each) > BigInt(position)) };
}

/** Without new events it is written now and then only. */
function isWorthKeeping(cursor: sql.EventCursor, next: sql.EventCursor): boolean {
  return next.beyond.length < cursor.beyond.length || BigInt(next.position) - BigInt(cursor.position) > 1_000n;
}
