import { setTimeout as delay } from 'node:timers/promises';
import { type DoorLink, type DoorTask, listenForDoor } from './door-link.ts';
import type { LaunchRequest } from './launcher.ts';

/** What the keeper has of the supervisor. */
export interface LauncherPort {
  prepare(request: LaunchRequest): Promise<{ readonly folder: string }>;
  /** @returns ended: resolves when nothing is in it any more */
  launch(request: LaunchRequest): Promise<{ readonly sandboxId: number; readonly ended: Promise<void> }>;
  kill(sandboxId: number): Promise<void>;
  clear(request: LaunchRequest): Promise<void>;
}

/** A sandbox from the keeper's side: prepared, linked, launched, and cleared away when it is over. */
export interface Sandbox {
  readonly folder: string;
  readonly link: DoorLink;
  /** Asks what runs in it to end, and ends it after `graceMs`. Resolves when nothing of it is left. */
  stop(graceMs: number): Promise<void>;
}

/** Opens one more door of the sandbox whose folder this is. */
export type OpenDoor = (folder: string) => Promise<{ close(): Promise<void> }>;

/** @param openDoor called before anything runs that could use it */
export async function openSandbox(
  request: LaunchRequest,
  task: DoorTask,
  launcher: LauncherPort,
  openDoor?: OpenDoor,
): Promise<Sandbox> {
  const { folder } = await launcher.prepare(request);
  const link = await listenForDoor(folder, task);
  let door: { close(): Promise<void> } | undefined;
  try {
    door = await openDoor?.(folder);
    const { sandboxId, ended } = await launcher.launch(request);
    // Also when the door-keeper never came.
    void ended.then(() => link.gone());
    let stopping: Promise<void> | undefined;
    const stop = async (graceMs: number): Promise<void> => {
      link.end();
      const timer = new AbortController();
      await Promise.race([link.ended, delay(graceMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
      await launcher.kill(sandboxId);
      await door?.close();
      await link.gone();
      await launcher.clear(request);
    };
    return {
      folder,
      link,
      stop(graceMs) {
        stopping ??= stop(graceMs);
        return stopping;
      },
    };
  } catch (error) {
    await door?.close();
    await link.close();
    throw error;
  }
}
