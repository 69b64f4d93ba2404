import type { BackupInProgress, RetentionHold } from './types.ts';

export interface Held {
  readonly holds: readonly RetentionHold[];
  readonly inProgress: readonly BackupInProgress[];
}

/** Who works with what of the regions right now, so that retention leaves it alone. In memory: whoever works ends with the process. */
export interface RetentionHolds {
  /** Until the function that is returned is called. */
  hold(hold: RetentionHold): () => void;
  /** A base backup, from before its first object until after its manifest. */
  beginBackup(backup: BackupInProgress): () => void;
  /**
   * Everything that is held from now on, and stays in it when it is let go. Begun before a region is listed: a backup that ended between the listing and the
   * decision has a manifest that the listing does not know.
   */
  watch(): HoldsWatch;
}

export interface HoldsWatch {
  held(): Held;
  end(): void;
}

type Entry = { readonly hold: RetentionHold } | { readonly backup: BackupInProgress };

export function createRetentionHolds(): RetentionHolds {
  const active = new Set<Entry>();
  const watches = new Set<Set<Entry>>();

  function add(entry: Entry): () => void {
    active.add(entry);
    for (const seen of watches) seen.add(entry);
    return () => {
      active.delete(entry);
    };
  }

  return {
    hold: (hold) => add({ hold }),
    beginBackup: (backup) => add({ backup }),
    watch() {
      const seen = new Set(active);
      watches.add(seen);
      return {
        held: () => ({
          holds: [...seen].flatMap((entry) => ('hold' in entry ? [entry.hold] : [])),
          inProgress: [...seen].flatMap((entry) => ('backup' in entry ? [entry.backup] : [])),
        }),
        end: () => {
          watches.delete(seen);
        },
      };
    },
  };
}
