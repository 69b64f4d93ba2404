import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DoorEnd } from './door-link.ts';
import type { LaunchRequest } from './launcher.ts';
import { inside } from './sandbox.ts';
import { type LauncherPort, type OpenDoor, openSandbox } from './sandboxes.ts';

export interface TaskCommand {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Default `/app`. */
  readonly folder?: string;
  /** To the database, at once. Default 4. */
  readonly connections?: number;
  /** Default true: standard error comes with the output. */
  readonly withErrors?: boolean;
  /** Where the app finds its provider. Default: it has none. */
  readonly issuerPort?: number;
}

export interface TaskStreams {
  /** Standard input; default: none. */
  readonly input?: Readable;
  readonly onOutput: (chunk: Buffer) => void;
  /** Resolves when more output may come. */
  readonly onFull?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** Runs a command in a sandbox to its end. @returns how it ended; rejects when it was not begun, or when its input broke off */
export async function runTask(
  request: LaunchRequest,
  { command, env, folder = inside.app, withErrors = true, connections = 4, issuerPort = 0 }: TaskCommand,
  launcher: LauncherPort,
  { input, onOutput, onFull, signal }: TaskStreams,
  openDoor?: OpenDoor,
): Promise<DoorEnd> {
  const { processes } = request.limits;
  signal.throwIfAborted();
  const sandbox = await openSandbox(
    request,
    { kind: 'run', command, env, folder, withErrors, port: 0, issuerPort, processes, connections, fileBytes: 0 },
    launcher,
    openDoor,
  );
  const stop = () => void sandbox.stop(0);
  signal.addEventListener('abort', stop, { once: true });
  // It may have come while the sandbox was opened.
  if (signal.aborted) stop();
  try {
    // Who ends at once may be over before its streams have come.
    const output = await sandbox.link.output.catch(() => undefined);
    const reading = (async () => {
      for await (const chunk of (output ?? []) as AsyncIterable<Buffer>) {
        onOutput(chunk);
        await onFull?.();
      }
    })();
    reading.catch(() => undefined);
    const stdin = await sandbox.link.input.catch(() => undefined);
    // A command that ends early reads no more: how it ended says whether that was right.
    const fed =
      input && stdin
        ? pipeline(input, stdin).catch((error) => ignoreClosed(error))
        : Promise.resolve(void stdin?.end());
    const [ended] = await Promise.all([sandbox.link.ended, fed, reading.catch(() => undefined)]);
    signal.throwIfAborted();
    return ended;
  } finally {
    signal.removeEventListener('abort', stop);
    await sandbox.stop(0);
  }
}

function ignoreClosed(error: NodeJS.ErrnoException): void {
  if (!['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'].includes(error.code ?? ''))
    throw error;
}
