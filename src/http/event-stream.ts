import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type CancelSignal, jitter } from '#src/kernel/index.ts';

export interface StreamedEvent {
  /** For example `item.changed`; one word without line breaks. Absent: an event of type `message`. */
  readonly type?: string;
  /** Sent as JSON. */
  readonly data: unknown;
}

export interface EventStreamOptions {
  /** A comment this often keeps proxies from closing the connection and shows us that the client is gone. Default 15,000. */
  readonly heartbeatMs?: number;
  /** A client that lets more than this wait is dropped: it will come back and ask for the whole state. Default 262,144. */
  readonly maxUnsentBytes?: number;
  /** Ends the stream in an orderly way, for example at drain. */
  readonly signal?: CancelSignal;
}

export interface EventStream {
  /** Never blocks and never throws for a client that is gone. */
  send(event: StreamedEvent): void;
  close(): void;
  /** Resolves when the stream has ended, whoever ended it. */
  readonly closed: Promise<void>;
}

/** Answers with server-sent events (WHATWG HTML, 9.2) and keeps the answer open. The handler returns the reply afterwards. */
export function openEventStream(
  request: FastifyRequest,
  reply: FastifyReply,
  options: EventStreamOptions = {},
): EventStream {
  const { heartbeatMs = 15_000, maxUnsentBytes = 262_144, signal } = options;
  // The answer may last for hours: whoever counts running requests counts it as something else from now on.
  request.onStreaming?.();
  reply.hijack();
  const response = reply.raw;
  response.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    // Asks a buffering reverse proxy to pass events on at once.
    'x-accel-buffering': 'no',
  });

  let open = true;
  const write = (text: string) => {
    if (!open || response.destroyed) return;
    response.write(text);
    if (response.writableLength > maxUnsentBytes) response.destroy();
  };
  // Random, so that a restart does not bring everybody back at the same moment.
  write(`retry: ${1_000 + Math.floor(2_000 * jitter())}\n\n`);
  const heartbeat = setInterval(write, heartbeatMs, ':\n\n');
  heartbeat.unref();
  const close = () => {
    if (!open) return;
    open = false;
    response.end();
  };
  signal?.addEventListener('abort', close, { once: true });
  const closed = new Promise<void>((resolve) => {
    response.once('close', () => {
      open = false;
      clearInterval(heartbeat);
      signal?.removeEventListener('abort', close);
      resolve();
    });
  });
  if (signal?.aborted || request.raw.destroyed) close();

  return {
    closed,
    close,
    send: ({ type, data }) => {
      if (type !== undefined && !/^[A-Za-z0-9_.:-]{1,64}$/.test(type)) throw new TypeError('malformed event type');
      // JSON has no raw line breaks, so one data line is enough.
      write(`${type === undefined ? '' : `event: ${type}\n`}data: ${JSON.stringify(data) ?? 'null'}\n\n`);
    },
  };
}
