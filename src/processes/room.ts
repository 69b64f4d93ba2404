import type { TenantId } from '#src/kernel/index.ts';
import { processErrors } from './errors.ts';
import type { Kept } from './kept.ts';
import type { RunSpec } from './types.ts';

/** What all apps that are awake may have together. */
export interface Room {
  readonly memoryBytes: number;
  /** To the databases: PostgreSQL has places for so many. */
  readonly connections: number;
}

/** Used so lately, an app is not put to sleep to make room. */
const restMs = 2_000;

/**
 * Who has room to be awake. Invariant: what those have who have room is at most `most`. Room is given in one turn to whoever fits; whoever does not waits until those
 * before have tried to make some, so that of two who come at once one gets what is there.
 */
export function createRoom(of: {
  readonly apps: ReadonlyMap<TenantId, Kept>;
  readonly most: Room;
  readonly now: () => number;
  readonly trySleep: (tenantId: TenantId, kept: Kept) => Promise<unknown>;
}) {
  const { apps, most, now } = of;
  let turn: Promise<unknown> = Promise.resolve();

  function has({ hasRoom, state }: Kept): boolean {
    return hasRoom && (state === 'awake' || state === 'waking' || state === 'stopping');
  }

  function take(kept: Kept, wanted: RunSpec['limits']): boolean {
    let { memoryBytes, connections } = wanted;
    for (const other of apps.values()) {
      if (other === kept || !has(other)) continue;
      memoryBytes += other.spec?.limits.memoryBytes ?? 0;
      connections += other.spec?.limits.connections ?? 0;
    }
    kept.hasRoom = memoryBytes <= most.memoryBytes && connections <= most.connections;
    return kept.hasRoom;
  }

  async function make(kept: Kept, wanted: RunSpec['limits']): Promise<void> {
    const byUse = [...apps]
      .filter(([, other]) => other.state === 'awake' && !other.change)
      .sort((a, b) => a[1].lastUsedMs - b[1].lastUsedMs);
    for (const [id, other] of byUse) {
      if (take(kept, wanted)) return;
      if (now() - other.lastUsedMs > restMs) await of.trySleep(id, other);
    }
    if (!take(kept, wanted)) throw processErrors.FH_APP_BUSY();
  }

  return {
    /** FH_APP_BUSY when there is none and nobody can be put to sleep. It is given back when the app sleeps or has failed. */
    async take(kept: Kept, wanted: RunSpec['limits']): Promise<void> {
      kept.hasRoom = false;
      for (const [what, is] of [
        ['memory limit', wanted.memoryBytes > most.memoryBytes],
        ['limit of connections', wanted.connections > most.connections],
      ] as const)
        if (is)
          throw processErrors.FH_APP_BUSY({ detail: `its ${what} is larger than what all apps may have together` });
      if (take(kept, wanted)) return;
      const made = turn.then(() => make(kept, wanted));
      turn = made.catch(() => undefined);
      await made;
    },
  };
}
