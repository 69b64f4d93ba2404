import { once } from 'node:events';
import type { Log } from '#src/kernel/index.ts';
import type { DoorEnd } from './door-link.ts';
import type { LaunchRequest } from './launcher.ts';
import type { LauncherPort } from './sandboxes.ts';
import { openTaskStream } from './task-streams.ts';
import { runTask, type TaskCommand } from './tasks.ts';
import type { AppFences } from './types.ts';

/** What only the supervisor may do to folders. */
export interface VersionsPort {
  fences(): Promise<AppFences>;
  finishData(tenantId: string): Promise<void>;
  removeData(tenantId: string): Promise<void>;
  finishBuild(app: string, digest: string): Promise<void>;
  removeVersion(app: string, digest: string): Promise<void>;
}

/** A build that hangs must not keep all others from being built. */
const longestTaskMs = 55 * 60_000;

/** Tasks that control asks for: one at a time for each place, because they share its folder. */
export function createTaskQueue(of: {
  readonly launcher: LauncherPort;
  readonly streamsPath: string;
  readonly log: Log;
}): {
  run(task: TaskCommand & { readonly request: LaunchRequest; readonly ticket: string }): Promise<DoorEnd>;
  stop(): void;
} {
  const last = new Map<number, Promise<unknown>>();
  const stopping = new AbortController();
  return {
    run({ request, ticket, ...task }) {
      const { place } = request;
      const before = last.get(place) ?? Promise.resolve();
      const running = before.then(async () => {
        const stream = await openTaskStream(of.streamsPath, ticket);
        try {
          const end = await runTask(request, task, of.launcher, {
            input: stream,
            onOutput: (chunk) => void stream.write(chunk),
            onFull: async () => {
              if (stream.writableNeedDrain) await once(stream, 'drain', { signal: stopping.signal });
            },
            signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(longestTaskMs)]),
          });
          stream.end();
          return end;
        } catch (error) {
          stream.destroy();
          throw error;
        }
      });
      const settled = running
        .catch(() => undefined)
        .then(() => {
          if (last.get(place) === settled) last.delete(place);
        });
      last.set(place, settled);
      return running;
    },
    stop: () => stopping.abort(new Error('the keeper stops')),
  };
}
