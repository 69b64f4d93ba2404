import pg from 'pg';
import { type Lsn, parseLsn } from '#src/kernel/index.ts';
import { ConnectionLostError, sqlState } from './sqlstate.ts';
import { encodeStatus, parseWalMessage, type ReceiverStatus, type WalMessage } from './wal-messages.ts';

/** The server has nothing more on this timeline. */
export interface TimelineEnd {
  readonly nextTimeline: number;
  /** The next timeline branched off here. */
  readonly switchedAt: Lsn;
}

/** WAL as it comes. Iterate once; leaving the loop early or an error leaves the connection for nothing but `close`. */
export interface WalStream extends AsyncIterable<WalMessage> {
  /** Tells the server what is held; does nothing once the stream has ended. */
  sendStatus(status: ReceiverStatus): void;
  /** After the iteration ended by itself: why. undefined: the server is shutting down. */
  timelineEnd(): TimelineEnd | undefined;
}

/** What waits in memory before the socket is no longer read. */
const highWaterBytes = 4 * 1024 * 1024;

interface DriverConnection extends NodeJS.EventEmitter {
  readonly stream: { pause(): void; resume(): void; readonly writable: boolean };
  query(text: string): void;
  sendCopyFromChunk(bytes: Buffer): void;
  endCopyFrom(): void;
}
const { Query } = pg as unknown as { Query: new (text: string) => object };

export function startWalStream(client: pg.Client, command: string, clock: { now(): number }): Promise<WalStream> {
  const connection = client.connection as unknown as DriverConnection;
  return new Promise((resolve, reject) => {
    const queue: WalMessage[] = [];
    let queuedBytes = 0;
    let paused = false;
    let streaming = false;
    let finished = false;
    let failure: unknown;
    let timelineEnd: TimelineEnd | undefined;
    let wake: (() => void) | undefined;

    const finish = (error?: unknown) => {
      if (finished) return;
      finished = true;
      failure = error;
      connection.off('replicationStart', onStart);
      connection.off('copyDone', onCopyDone);
      wake?.();
    };
    const onStart = () => {
      streaming = true;
      resolve(stream);
    };
    // The end of a historic timeline: the server waits for our CopyDone before it says what comes next.
    const onCopyDone = () => connection.endCopyFrom();
    connection.on('replicationStart', onStart);
    connection.on('copyDone', onCopyDone);

    const stream: WalStream = {
      sendStatus(status) {
        if (!finished && connection.stream.writable) connection.sendCopyFromChunk(encodeStatus(status, clock.now()));
      },
      timelineEnd: () => timelineEnd,
      async *[Symbol.asyncIterator]() {
        for (;;) {
          const next = queue.shift();
          if (next) {
            if (next.kind === 'data') queuedBytes -= next.data.length;
            if (paused && queuedBytes < highWaterBytes / 2) {
              paused = false;
              connection.stream.resume();
            }
            yield next;
          } else if (finished) {
            if (failure !== undefined) throw failure;
            return;
          } else {
            await new Promise<void>((resume) => {
              wake = resume;
            });
            wake = undefined;
          }
        }
      },
    };

    /** What the driver calls; it extends its class because the client takes no other. */
    class StartReplication extends Query {
      // The driver asks for it, to know that nobody listens to events.
      callback = (error: unknown) => this.handleError(error);
      submit(): null {
        connection.query(command);
        return null;
      }
      handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
        if (finished) return;
        try {
          const message = parseWalMessage(chunk);
          queue.push(message);
          if (message.kind === 'data') queuedBytes += message.data.length;
        } catch (error) {
          finish(error);
          (client.connection.stream as unknown as { destroy(): void }).destroy();
        }
        if (queuedBytes > highWaterBytes && !paused) {
          paused = true;
          connection.stream.pause();
        }
        wake?.();
      }
      handleRowDescription(): void {}
      handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
        timelineEnd = { nextTimeline: Number(fields[0]), switchedAt: parseLsn(fields[1]!) };
      }
      handleCommandComplete(): void {
        // Shutting down, the server completes the command and hangs up.
        if (streaming && timelineEnd === undefined) finish();
      }
      handleEmptyQuery(): void {}
      handleCopyInResponse(): void {}
      handleError(error: unknown): void {
        const described = sqlState(error) === undefined ? new ConnectionLostError(error) : error;
        if (!streaming) reject(described);
        finish(described);
      }
      handleReadyForQuery(): void {
        // The switch point was exactly where we wanted to begin: the answer holds no stream at all.
        if (!streaming) resolve(stream);
        finish();
      }
    }
    client.query(new StartReplication(command) as unknown as pg.Submittable);
  });
}
