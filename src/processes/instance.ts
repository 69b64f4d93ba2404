import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '#src/kernel/index.ts';
import type { AppLog } from './app-log.ts';
import { type DoorEnd, type DoorLink, describeEnd, listenForDoor } from './door-link.ts';
import { processErrors } from './errors.ts';
import { askHealth } from './health.ts';
import type { LaunchRequest } from './launcher.ts';
import { inside } from './sandbox.ts';
import type { Entrance, RunSpec } from './types.ts';

/** What the keeper has of the supervisor. */
export interface LauncherPort {
  prepare(request: LaunchRequest): Promise<{ readonly folder: string }>;
  /** @returns ended: resolves when nothing is in it any more */
  launch(request: LaunchRequest): Promise<{ readonly sandboxId: number; readonly ended: Promise<void> }>;
  kill(sandboxId: number): Promise<void>;
  clear(request: LaunchRequest): Promise<void>;
}

export interface Instance {
  readonly entrance: Entrance;
  readonly startedMs: number;
  /** Of the app by itself; never rejects. */
  readonly ended: Promise<DoorEnd>;
  /** undefined: it runs. */
  readonly end: DoorEnd | undefined;
  /** Asks it to end, and ends it after `graceMs`. Resolves when nothing of it is left. */
  stop(graceMs: number): Promise<void>;
}

export interface StartDeps {
  readonly launcher: LauncherPort;
  readonly log: AppLog;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const firstPauseMs = 20;
const pauseMs = 100;
const quickTries = 100;

export function requestOf(spec: RunSpec, kind: 'serve' | 'run'): LaunchRequest {
  const { memoryBytes, cpus, processes } = spec.limits;
  const { tenantId: owner, app, version, place } = spec;
  // Beside the app's own there are ours: bubblewrap twice, the door-keeper and its threads, and what ends the app.
  return {
    kind,
    owner,
    app,
    version,
    place,
    limits: { memoryBytes: memoryBytes + ownMemoryBytes, cpus, processes: processes + ownProcesses },
  };
}
const ownProcesses = 24;
const ownMemoryBytes = 64 * 2 ** 20;

/** Starts the app and waits until it is healthy. FH_APP_FAILED with its last words otherwise, and nothing is left of it. */
export async function startInstance(spec: RunSpec, instanceId: string, deps: StartDeps): Promise<Instance> {
  const { log, clock, signal } = deps;
  const startedMs = clock.monotonicMs();
  const sandbox = await openSandbox(spec, { kind: 'serve', command: spec.start }, deps);
  try {
    const output = await sandbox.link.output;
    output.on('data', (chunk: Buffer) => log.write(chunk));
    output.on('error', () => undefined);
    await sandbox.link.started;
    const socketPath = join(sandbox.folder, 'http', 'http.sock');
    await becomeHealthy(spec, socketPath, sandbox.link, clock, signal);
    log.note(`the app is healthy after ${Math.round(clock.monotonicMs() - startedMs)} ms`);
    let end: DoorEnd | undefined;
    const ended = sandbox.link.ended.then((how) => {
      end = how;
      return how;
    });
    return {
      entrance: { instanceId, socketPath },
      startedMs,
      ended,
      get end() {
        return end;
      },
      stop: sandbox.stop,
    };
  } catch (error) {
    await sandbox.stop(0);
    await log.flush();
    throw processErrors.FH_APP_FAILED({
      detail: `${error instanceof Error ? error.message : 'it could not be started'}\n${log.tail(20).join('\n')}`,
      cause: error,
    });
  }
}

export interface Sandbox {
  readonly folder: string;
  readonly link: DoorLink;
  stop(graceMs: number): Promise<void>;
}

export async function openSandbox(
  spec: RunSpec,
  task: { readonly kind: 'serve' | 'run'; readonly command: readonly string[] },
  { launcher }: Pick<StartDeps, 'launcher'>,
): Promise<Sandbox> {
  const request = requestOf(spec, task.kind);
  const { folder } = await launcher.prepare(request);
  const link = await listenForDoor(folder, {
    ...task,
    env: spec.env,
    folder: inside.app,
    port: spec.port,
    processes: spec.limits.processes,
  });
  try {
    const { sandboxId, ended } = await launcher.launch(request);
    // Also when the door-keeper never came.
    void ended.then(() => link.close());
    let stopping: Promise<void> | undefined;
    const stop = async (graceMs: number): Promise<void> => {
      link.end();
      const timer = new AbortController();
      await Promise.race([link.ended, delay(graceMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
      await launcher.kill(sandboxId);
      await link.close();
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
    await link.close();
    throw error;
  }
}

async function becomeHealthy(
  spec: RunSpec,
  socketPath: string,
  link: DoorLink,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const deadline = clock.monotonicMs() + spec.startMs;
  const host = new URL(spec.env.FREEHOLD_URL ?? 'https://localhost').host;
  let end: DoorEnd | undefined;
  void link.ended.then((ended) => {
    end = ended;
  });
  let last: number | undefined;
  for (let tries = 0; ; tries++) {
    signal.throwIfAborted();
    if (end) throw new Error(`${describeEnd(end)} before it was healthy`);
    const leftMs = deadline - clock.monotonicMs();
    if (leftMs <= 0)
      throw new Error(
        `it was not healthy after ${spec.startMs / 1000} s: ${spec.healthPath} ${last === undefined ? 'does not answer' : `answers ${last}`}`,
      );
    last = await askHealth(socketPath, spec.healthPath, host, Math.min(leftMs, 5_000));
    if (last !== undefined && last >= 200 && last < 400) return;
    await delay(tries < quickTries ? firstPauseMs : pauseMs, undefined, { signal });
  }
}
