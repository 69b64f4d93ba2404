import type { Socket } from 'node:net';
import { FreeholdError, type Log } from '#src/kernel/index.ts';
import { parseWireError, rpcErrors, toWireError } from './errors.ts';
import type { CallOptions } from './types.ts';

/** Largest line in either direction. */
export const maxMessageBytes = 1_048_576;
/** A peer that does not read what we send is dropped before it costs us memory. */
const maxUnsentBytes = 16 * maxMessageBytes;
const maxRunning = 1_000;
const newline = 0x0a;

type Handler = (params: unknown) => unknown;
export type FindHandler = (method: string) => Handler | undefined;

export interface Channel {
  call(method: string, params: unknown, options?: CallOptions): Promise<unknown>;
  notify(method: string, params: unknown): void;
  readonly closed: Promise<void>;
  close(): void;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * One side of a socket on which both may ask. One JSON object per line:
 * `{id,method,params}` asks, `{method,params}` tells, `{id,result}` or `{id,error}` answers.
 * Anything else, or a line over the limit, ends the connection: the other side is broken or not ours.
 */
export function openChannel(socket: Socket, findHandler: FindHandler, log: Log): Channel {
  const pending = new Map<number, Pending>();
  let lastId = 0;
  let running = 0;
  let unread: Buffer[] = [];
  let unreadBytes = 0;

  const drop = (reason: string) => {
    if (socket.destroyed) return;
    log.warn('dropped a malformed connection', { reason });
    socket.destroy();
  };

  const send = (message: object) => {
    const line = `${JSON.stringify(message)}\n`;
    if (Buffer.byteLength(line) > maxMessageBytes) throw rpcErrors.FH_RPC_TOO_LARGE();
    if (socket.destroyed || !socket.writable) throw rpcErrors.FH_CONTROL_UNAVAILABLE();
    socket.write(line);
    if (socket.writableLength > maxUnsentBytes) drop('it does not read');
  };

  const answer = async (id: number | undefined, method: string, params: unknown) => {
    if (running >= maxRunning) {
      if (id !== undefined) trySend({ id, error: toWireError(rpcErrors.FH_RPC_BUSY()) });
      return;
    }
    running++;
    try {
      const handler = findHandler(method);
      if (!handler) throw rpcErrors.FH_RPC_UNKNOWN_METHOD({ detail: method.slice(0, 64) });
      const result = await handler(params);
      if (id !== undefined) send({ id, result });
    } catch (error) {
      if (!(error instanceof FreeholdError)) log.error('a call between processes failed', { method, error });
      if (id !== undefined) trySend({ id, error: toWireError(error) });
    } finally {
      running--;
    }
  };

  const trySend = (message: object) => {
    try {
      send(message);
    } catch (error) {
      log.debug('an answer could not be sent', { error });
    }
  };

  const settle = (id: number, message: Record<string, unknown>) => {
    const waiting = pending.get(id);
    // Not malformed: the answer to a call that ran out of time.
    if (!waiting) return;
    pending.delete(id);
    clearTimeout(waiting.timer);
    if (message.error === undefined) waiting.resolve(message.result);
    else waiting.reject(parseWireError(message.error));
  };

  const receive = (line: Buffer) => {
    let message: Record<string, unknown>;
    try {
      const parsed: unknown = JSON.parse(line.toString('utf8'));
      if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return drop('not an object');
      message = parsed as Record<string, unknown>;
    } catch {
      return drop('not JSON');
    }
    const { id, method } = message;
    if (id !== undefined && !Number.isSafeInteger(id)) return drop('malformed id');
    if (typeof method === 'string') return void answer(id as number | undefined, method, message.params);
    if (id === undefined || method !== undefined) return drop('neither a question nor an answer');
    try {
      settle(id as number, message);
    } catch {
      drop('malformed error');
    }
  };

  socket.on('data', (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf(newline); end !== -1 && !socket.destroyed; end = rest.indexOf(newline)) {
      const line = unread.length === 0 ? rest.subarray(0, end) : Buffer.concat([...unread, rest.subarray(0, end)]);
      unread = [];
      unreadBytes = 0;
      rest = rest.subarray(end + 1);
      if (line.length > maxMessageBytes) return drop('a line is too long');
      receive(line);
    }
    if (rest.length === 0) return;
    unread.push(rest);
    unreadBytes += rest.length;
    if (unreadBytes > maxMessageBytes) drop('a line is too long');
  });
  // 'close' follows and does the rest.
  socket.on('error', (error) => log.debug('a connection between processes broke', { error }));
  socket.on('end', () => socket.end());

  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      for (const { reject, timer } of pending.values()) {
        clearTimeout(timer);
        reject(rpcErrors.FH_CONTROL_UNAVAILABLE());
      }
      pending.clear();
      resolve();
    });
  });

  return {
    closed,
    close: () => socket.destroy(),
    notify: (method, params) => trySend({ method, params }),
    call: (method, params, { timeoutMs = 10_000 } = {}) =>
      new Promise((resolve, reject) => {
        const id = ++lastId;
        const timer = setTimeout(() => {
          pending.delete(id);
          reject(rpcErrors.FH_RPC_TIMEOUT({ detail: method }));
        }, timeoutMs);
        pending.set(id, { resolve, reject, timer });
        try {
          send({ id, method, params });
        } catch (error) {
          pending.delete(id);
          clearTimeout(timer);
          reject(error as Error);
        }
      }),
  };
}

/** Looks up own functions only, so that a method named `constructor` or `__proto__` finds nothing. */
export function handlerFinder<Peer>(handlers: object, peer: Peer): FindHandler {
  return (method) => {
    if (!Object.hasOwn(handlers, method)) return undefined;
    const handler = (handlers as Record<string, (params: unknown, peer: Peer) => unknown>)[method]!;
    return (params) => handler(params, peer);
  };
}
