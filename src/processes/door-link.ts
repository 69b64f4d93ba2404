import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

export interface DoorTask {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Inside the sandbox. */
  readonly folder: string;
  readonly kind: 'serve' | 'run';
  readonly port: number;
  /** Where the app finds its provider. 0: it has none. */
  readonly issuerPort: number;
  /** Whether standard error comes with standard output; otherwise it is dropped. */
  readonly withErrors: boolean;
  readonly processes: number;
  /** To the database, at once. */
  readonly connections: number;
  /** Of one file. 0: no limit. */
  readonly fileBytes: number;
}

/** How the app in a sandbox ended. `failure`: it was never begun. */
export interface DoorEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly failure?: string;
}

export function describeEnd({ code, signal, failure }: DoorEnd): string {
  return failure ?? `it ended with ${signal ?? `exit code ${code}`}`;
}

/** The keeper's end of a sandbox's link. */
export interface DoorLink {
  /** Hands over the task when the door-keeper comes; resolves when the app was begun and its doors are open. Rejects when it ended before. */
  readonly started: Promise<void>;
  /** Always resolves; at the latest when the link is lost, which is when the sandbox is gone. */
  readonly ended: Promise<DoorEnd>;
  /** Standard output; of `serve` also standard error. */
  readonly output: Promise<Readable>;
  /** Standard input of a `run`. */
  readonly input: Promise<Writable>;
  /** Nothing is in the sandbox any more: what it has said is still heard, then the link is closed. */
  gone(): Promise<void>;
  /** Asks the app to end (SIGTERM to all its processes). */
  end(): void;
  close(): Promise<void>;
}

const lastWordsMs = 1_000;
const lost: DoorEnd = { code: null, signal: null, failure: 'the sandbox ended' };

/** Listens before the sandbox is started. @param folder what `prepare` gave */
export async function listenForDoor(folder: string, task: DoorTask): Promise<DoorLink> {
  const path = join(folder, 'link', 'keeper.sock');
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<DoorEnd>();
  const streams = { output: Promise.withResolvers<Socket>(), input: Promise.withResolvers<Socket>() };
  const sockets = new Set<Socket>();
  let control: Socket | undefined;
  let output: Socket | undefined;
  let closing: Promise<void> | undefined;
  // Whoever looks first decides what to do about it.
  for (const { promise } of [started, streams.output, streams.input]) promise.catch(() => undefined);
  void ended.promise.then((end) => {
    const reason = new Error(describeEnd(end));
    started.reject(reason);
    streams.output.reject(reason);
    streams.input.reject(reason);
  });

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    firstLine(socket, (name) => {
      if (name === 'control' && !control) takeControl(socket);
      else if (name === 'output' || name === 'input') {
        if (name === 'output') output = socket;
        streams[name].resolve(socket);
      } else socket.destroy();
    });
  });

  function takeControl(socket: Socket): void {
    control = socket;
    socket.on('end', () => socket.end());
    socket.on('close', () => void drained().then(() => ended.resolve(lost)));
    const lines = createInterface({ input: socket });
    lines.on('error', () => undefined);
    lines.on('line', (line) => {
      const message = parse(line);
      if (message?.event === 'started') started.resolve();
      if (message?.event === 'ended') {
        const end = {
          code: typeof message.code === 'number' ? message.code : null,
          signal: typeof message.signal === 'string' ? message.signal : null,
          ...(typeof message.failure === 'string' && { failure: message.failure.slice(0, 500) }),
        };
        void drained().then(() => ended.resolve(end));
      }
    });
    socket.write(`${JSON.stringify(task)}\n`);
  }

  /** Its last words come another way than the news of its end. */
  async function drained(): Promise<void> {
    if (!output) await atMost(lastWordsMs, streams.output.promise);
    if (!output || output.closed || output.readableEnded) return;
    await atMost(lastWordsMs, Promise.race([once(output, 'end'), once(output, 'close')]));
  }

  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  return {
    started: started.promise,
    ended: ended.promise,
    output: streams.output.promise,
    input: streams.input.promise,
    async gone() {
      // Its sockets are at their end; what lies in them comes first.
      if (control) await atMost(3 * lastWordsMs, ended.promise);
      await close();
    },
    end: () => control?.write('end\n'),
    close,
  };

  function close(): Promise<void> {
    closing ??= closeAll();
    return closing;
  }

  async function closeAll(): Promise<void> {
    ended.resolve(lost);
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    for (const file of [path, join(folder, 'http', 'http.sock')])
      await rm(file, { force: true }).catch(() => undefined);
  }
}

async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([
    promise.catch(() => undefined),
    delay(ms, undefined, { signal: timer.signal }).catch(() => undefined),
  ]);
  timer.abort();
}

/** Up to the first line's end, byte by byte, because what follows may be a stream. */
function firstLine(socket: Socket, heard: (line: string) => void): void {
  let line = '';
  const read = (): void => {
    for (let byte = socket.read(1); byte !== null; byte = socket.read(1)) {
      if (byte[0] === 0x0a) {
        socket.off('readable', read);
        heard(line);
        return;
      }
      line += String.fromCharCode(byte[0]);
      if (line.length > 16) socket.destroy();
    }
  };
  socket.on('readable', read);
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
