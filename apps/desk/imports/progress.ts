/** Progress of a run: written beside the import's own transaction, so that it is seen while that is still open. */
import type { AppContext } from '../../sdk/index.ts';
import type { ImportProgress } from '../api.ts';
import { updateProgress } from './imports.sql.ts';

const writeEveryMs = 400;
const heartbeatEveryMs = 5_000;

/** The run was cancelled, or taken for dead and started anew. Nothing it did may stay. */
export class RunOver extends Error {}

export interface ProgressWriter {
  /** Remembers the progress and writes it now and then. Throws RunOver. Does not wait for the database: the caller may hold the tenant's last connection. */
  report(progress: ImportProgress): void;
  /** Ends the heartbeat and waits for the last write. */
  stop(): Promise<void>;
}

export function startProgress(
  context: AppContext,
  importId: string,
  run: number,
  first: ImportProgress,
): ProgressWriter {
  let latest = first;
  let writtenAt = 0;
  let writing: Promise<void> | undefined;
  let isOver = false;

  function write(): void {
    if (writing) return;
    writtenAt = performance.now();
    const progress = latest;
    writing = context.db
      .transact((db) => updateProgress(db, importId, run, progress))
      .then(
        (alive) => {
          if (alive) context.publish({ type: 'import.progress', data: { importId, state: 'running', progress } });
          else isOver = true;
        },
        // Not the import's failure: if the database is gone, its own statements say so.
        () => {},
      )
      .finally(() => {
        writing = undefined;
      });
  }

  const heartbeat = setInterval(write, heartbeatEveryMs);
  return {
    report(progress) {
      if (isOver) throw new RunOver();
      context.signal.throwIfAborted();
      const isNewPhase = progress.phase !== latest.phase;
      latest = progress;
      if (isNewPhase || performance.now() - writtenAt >= writeEveryMs) write();
    },
    async stop() {
      clearInterval(heartbeat);
      await writing;
    },
  };
}
