import { access } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '#src/kernel/index.ts';
import type { Cluster } from '../server.ts';
import { mirrorSlots } from './mirror-slots.ts';
import { measureStandbyLag, withConnection } from './position.ts';
import { seedStandby } from './seed.ts';
import { ensureStandbySlot } from './slot.ts';
import type { Upstream } from './upstream.ts';

/**
 * `off`: not wanted. `seeding`: being copied. `starting`: its server is coming up. `following`: it streams, or catches up.
 * `away`: its server runs and is not connected to the primary. `failed`: could not be copied or started, tried again later.
 */
export type StandbyState = 'off' | 'seeding' | 'starting' | 'following' | 'away' | 'failed';

export interface StandbyKeeperOptions {
  readonly standby: Cluster;
  readonly primary: Cluster;
  readonly upstream: Upstream;
  readonly controlPassword: string;
  /** True until the folder was copied anew after it had parted from the primary. */
  readonly isDiverged: () => boolean;
  /** The folder is a copy again. On disk when it resolves. */
  readonly seeded: () => Promise<void>;
  readonly onState: (state: StandbyState, reason?: string) => void;
  /** A server that runs beside an answering primary and does not follow for so long never will. Default 30,000. */
  readonly cannotFollowMs?: number;
  /** Longest pause between tries. Default 60,000. */
  readonly longestRetryMs?: number;
  readonly log: Log;
}

export interface StandbyKeeper {
  /** Ends what is under way; `stopServer: false` leaves the server running, for a failover that needs it. */
  stop(options: { readonly stopServer: boolean }): Promise<void>;
}

const firstRetryMs = 200;
const pollMs = 2_000;
/** The primary keeps half a gigabyte for everybody, which is more than is written meanwhile. */
const mirrorEveryMs = 30_000;
/** Starts in a row that fail before the folder is given up. */
const patience = 3;

/** Copies, starts, watches, starts again and copies again, until it is stopped. Nobody waits for it. */
export function startStandbyKeeper(options: StandbyKeeperOptions): StandbyKeeper {
  const { standby, primary, upstream, log, onState, cannotFollowMs = 30_000, longestRetryMs = 60_000 } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let failedStarts = 0;
  let mustSeed = false;

  async function run(): Promise<void> {
    for (let pauseMs = firstRetryMs; !signal.aborted; ) {
      try {
        const startedAt = performance.now();
        if (standby.status().state === 'stopped') await bringUp();
        await watch();
        if (performance.now() - startedAt > cannotFollowMs) pauseMs = firstRetryMs;
      } catch (error) {
        if (signal.aborted) return;
        log.warn('the standby is not there; it is tried again', { error, afterMs: pauseMs });
        onState('failed', error instanceof Error ? error.message : String(error));
      }
      await delay(pauseMs, undefined, { signal }).catch(() => {});
      pauseMs = Math.min(longestRetryMs, pauseMs * 2);
    }
  }

  async function bringUp(): Promise<void> {
    await ensureStandbySlot(primary.options);
    const exists = await access(path.join(standby.options.dataDir, 'PG_VERSION')).then(
      () => true,
      () => false,
    );
    if (!exists || mustSeed || options.isDiverged() || failedStarts >= patience) {
      onState('seeding');
      await seedStandby({ standby: standby.options, upstream, signal, log });
      await options.seeded();
      mustSeed = false;
      failedStarts = 0;
    }
    if (signal.aborted) return;
    onState('starting');
    failedStarts++;
    await standby.start({ role: 'standby' });
    failedStarts = 0;
  }

  /** Returns when the server is gone, or was stopped because it cannot follow. */
  async function watch(): Promise<void> {
    let lastFollowed = performance.now();
    let isFollowing = false;
    let mirroredAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted && standby.status().state === 'running') {
      const lag = await withConnection(primary.controlTarget(options.controlPassword), measureStandbyLag).catch(
        () => 'primary away' as const,
      );
      if (signal.aborted) return;
      // Without a primary nobody can follow: that time does not count.
      if (lag === 'primary away') lastFollowed = performance.now();
      else if (lag?.isAttached) {
        lastFollowed = performance.now();
        if (!isFollowing) onState('following');
        isFollowing = true;
        if (performance.now() - mirroredAt > mirrorEveryMs) {
          mirroredAt = performance.now();
          await withConnection(primary.controlTarget(options.controlPassword), (db) =>
            mirrorSlots(db, standby.options),
          ).catch((error) => log.warn('the slots of the primary were not mirrored', { error }));
        }
      } else {
        if (isFollowing) onState('away');
        isFollowing = false;
        if (!lag || lag.isLost || performance.now() - lastFollowed > cannotFollowMs) {
          log.warn('the standby cannot follow any more and is copied anew', { slotLost: lag?.isLost ?? true });
          mustSeed = true;
          await standby.stop({ smartMs: 0, fastMs: 10_000 });
          return;
        }
      }
      await delay(isFollowing ? pollMs : 200, undefined, { signal }).catch(() => {});
    }
    if (!signal.aborted) onState('failed', 'its server ended');
  }

  const running = run();
  return {
    async stop({ stopServer }) {
      stopping.abort();
      // A server that is still replaying what it needs before it accepts connections is not waited for.
      if (stopServer && standby.status().state !== 'stopped') await standby.stop({ smartMs: 0, fastMs: 20_000 });
      await running;
      if (stopServer) await standby.stop({ smartMs: 0, fastMs: 20_000 });
    },
  };
}
