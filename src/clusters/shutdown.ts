import { waitFor } from '#src/kernel/index.ts';
import { readCheckpointActivity } from './checkpoint-activity.ts';

export interface ShutdownPatience {
  readonly postmasterId: number;
  readonly hasEnded: () => boolean | Promise<boolean>;
  /** Without any progress of its last checkpoint. */
  readonly stalledMs: number;
  /** With progress. */
  readonly longestMs: number;
  /** How often `hasEnded` is asked. Default 5. */
  readonly everyMs?: number;
  /** Told after a few seconds, and then each minute. */
  readonly onWaiting?: (text: string) => void;
}

/** Longer than any disk should need for what lies in memory; somebody who waits may always end it at once. */
export const longestShutdownMs = 30 * 60_000;

const lookEveryMs = 500;
const firstToldMs = 3_000;
const toldEveryMs = 60_000;

/**
 * Waits for a server that was asked to shut down. Its last checkpoint may have hundreds of thousands of files to bring to disk (after a
 * burst of new databases: some 300 each), and a server that is ended before that replays all of it at its next start, which takes longer.
 * So it has time as long as it gets on. (pg_ctl gives up after 60 s and leaves the server at it; Patroni waits without end; the unit of
 * Debian's packages waits an hour.) @returns whether it has ended
 */
export async function waitForShutdown(patience: ShutdownPatience): Promise<boolean> {
  const { postmasterId, hasEnded, stalledMs, longestMs, everyMs = 5, onWaiting = () => {} } = patience;
  const startedMs = performance.now();
  let toldMs = startedMs + firstToldMs - toldEveryMs;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let progressMs = startedMs;
  let last: string | undefined;
  let isStalled = false;
  const isOver = async (): Promise<boolean> => {
    if (await hasEnded()) return true;
    const nowMs = performance.now();
    if (nowMs - lookedMs < lookEveryMs) return false;
    lookedMs = nowMs;
    const activity = await readCheckpointActivity(postmasterId);
    if (activity !== undefined && (activity !== last || activity === 'unknown')) progressMs = nowMs;
    last = activity ?? last;
    if (nowMs - toldMs >= toldEveryMs) {
      toldMs = nowMs;
      onWaiting(
        `PostgreSQL is writing its last changes to disk (${Math.round((nowMs - startedMs) / 1_000)} s so far, at most ${Math.round(longestMs / 60_000)} minutes)`,
      );
    }
    isStalled = nowMs - progressMs >= stalledMs;
    return isStalled;
  };
  await waitFor('the server to end', isOver, { deadlineMs: longestMs, everyMs }).catch(() => {});
  return hasEnded();
}
