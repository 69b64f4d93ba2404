import type { Clock } from '#src/kernel/index.ts';
import type { ShippingEvent } from './events.ts';
import type { RegionSender } from './region-sender.ts';
import type { WalPosition } from './timeline.ts';

export interface RegionWatchOptions {
  readonly sender: RegionSender;
  readonly clock: Clock;
  readonly awayAfterMs: number;
  readonly onEvent: (event: ShippingEvent) => void;
}

/** Decides whether a region is waited for. Away: it lacks something for too long. Back: only when it has caught up, so that commits do not wait for a backlog. */
export interface RegionWatch {
  isAway(): boolean;
  state(): 'shipping' | 'behind' | 'away';
  /** To be called when something was shipped and once a second. */
  look(): void;
}

/** What lacks longer than this is behind; a region that is away is back below it. */
const behindAfterMs = 1_000;

export function createRegionWatch({ sender, clock, awayAfterMs, onEvent }: RegionWatchOptions): RegionWatch {
  const startedAtMs = clock.monotonicMs();
  let away = false;
  /** Monotonic time since which the same entry, or one before it, is owed. */
  let owedSince:
    | { readonly fileName: string; readonly reached: WalPosition | undefined; readonly atMs: number }
    | undefined;

  /** How long the oldest owed entry has been owed as far as this process knows: a clock that is set must not declare a region away. */
  function owedForMs(): number {
    const oldest = sender.oldestOwed();
    if (!oldest) {
      owedSince = undefined;
      return 0;
    }
    const reached = sender.reached();
    // Another entry is the oldest also when the spool gave the older ones up: without progress the region is as late as before.
    if (!owedSince || (owedSince.fileName !== oldest.fileName && owedSince.reached !== reached)) {
      const age = Math.min(Math.max(0, clock.now() - oldest.receivedAtMs), clock.monotonicMs() - startedAtMs);
      owedSince = { fileName: oldest.fileName, reached, atMs: clock.monotonicMs() - age };
    }
    return clock.monotonicMs() - owedSince.atMs;
  }

  return {
    isAway: () => away,
    state: () => (away ? 'away' : owedForMs() > behindAfterMs ? 'behind' : 'shipping'),
    look() {
      const owedMs = owedForMs();
      if (!away && owedMs > awayAfterMs) {
        away = true;
        onEvent({ kind: 'region.away', region: sender.store.region, error: sender.lastError() });
      } else if (away && owedMs < Math.min(behindAfterMs, awayAfterMs)) {
        away = false;
        onEvent({ kind: 'region.back', region: sender.store.region });
      }
    },
  };
}
