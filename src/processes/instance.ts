import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '#src/kernel/index.ts';
import type { AppLog } from './app-log.ts';
import type { BackChannelCaller, BackChannelDoor } from './back-channel.ts';
import { type DoorEnd, type DoorLink, type DoorTask, describeEnd } from './door-link.ts';
import { processErrors } from './errors.ts';
import { askHealth } from './health.ts';
import type { LaunchRequest } from './launcher.ts';
import { inside } from './sandbox.ts';
import { type LauncherPort, type OpenDoor, openSandbox } from './sandboxes.ts';
import type { Entrance, RunSpec } from './types.ts';

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
  /** A way for the app to its provider, before it is begun. Undefined: apps have none. */
  readonly openBackChannel?: (sandboxFolder: string, caller: BackChannelCaller) => Promise<BackChannelDoor>;
}

const firstPauseMs = 20;
const pauseMs = 100;
const quickTries = 100;

/** No faster than the log takes it: who writes more waits, and nobody else does. */
async function follow(output: Readable, log: AppLog): Promise<void> {
  try {
    for await (const chunk of output as AsyncIterable<Buffer>) {
      log.write(chunk);
      const pauseMs = log.pauseMs();
      if (pauseMs > 0) await delay(pauseMs);
    }
  } catch {
    // It ended with its sandbox.
  }
}

export function requestOf(spec: RunSpec, kind: 'serve' | 'migrate'): LaunchRequest {
  const { memoryBytes, cpus, processes } = spec.limits;
  const { tenantId: owner, app, digest, place, cluster, issuer } = spec;
  // Beside the app's own there are ours: bubblewrap twice, the door-keeper and its threads, and what ends the app.
  return {
    kind,
    owner,
    app,
    digest,
    place,
    cluster,
    ...(issuer && { issuer }),
    limits: { memoryBytes: memoryBytes + ownMemoryBytes, cpus, processes: processes + ownProcesses },
  };
}
function serveTask(spec: RunSpec): DoorTask {
  const { start: command, env, port, issuer } = spec;
  const issuerPort = issuer?.port ?? 0;
  const { processes, connections, folderBytes: fileBytes } = spec.limits;
  return {
    kind: 'serve',
    command,
    env,
    port,
    issuerPort,
    folder: inside.app,
    withErrors: true,
    processes,
    connections,
    fileBytes,
  };
}

/** Of an app that has a provider. */
export function providerDoorOf(
  { tenantId, issuer }: RunSpec,
  { openBackChannel }: Pick<StartDeps, 'openBackChannel'>,
): OpenDoor | undefined {
  if (!issuer || !openBackChannel) return undefined;
  return (folder) => openBackChannel(folder, { tenantId, host: issuer.host });
}

const ownProcesses = 24;
const ownMemoryBytes = 64 * 2 ** 20;

/** Starts the app and waits until it is healthy. FH_APP_FAILED with its last words otherwise, and nothing is left of it. */
export async function startInstance(spec: RunSpec, instanceId: string, deps: StartDeps): Promise<Instance> {
  const { log, clock, signal } = deps;
  const startedMs = clock.monotonicMs();
  const sandbox = await openSandbox(
    requestOf(spec, 'serve'),
    serveTask(spec),
    deps.launcher,
    providerDoorOf(spec, deps),
  );
  try {
    const output = await sandbox.link.output;
    void follow(output, log);
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

async function becomeHealthy(
  spec: RunSpec,
  socketPath: string,
  link: DoorLink,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const deadline = clock.monotonicMs() + spec.startMs;
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
    const status = await askHealth(socketPath, spec.healthPath, spec.host, Math.min(leftMs, 5_000), signal);
    if (status !== undefined && status >= 200 && status < 400) return;
    last = status ?? last;
    await delay(tries < quickTries ? firstPauseMs : pauseMs, undefined, { signal });
  }
}
