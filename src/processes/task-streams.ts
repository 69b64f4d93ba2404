import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { randomBytes } from '#src/kernel/index.ts';

/** Control's end of the streams of tasks: the keeper comes with a ticket, and what follows are the bytes of one task, both ways. */
export interface TaskStreamsServer {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** @returns a ticket to hand to the keeper, and the stream that it comes with */
  expect(): { readonly ticket: string; readonly socket: Promise<Socket>; cancel(reason: Error): void };
}

const ticketLength = 43;

export function createTaskStreams(socketPath: string, mode: number): TaskStreamsServer {
  const waiting = new Map<string, PromiseWithResolvers<Socket>>();
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  return {
    async start() {
      await rm(socketPath, { force: true });
      server = createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
        void readTicket(socket).then((ticket) => {
          const found = ticket === undefined ? undefined : waiting.get(ticket);
          if (!found) return socket.destroy();
          waiting.delete(ticket!);
          found.resolve(socket);
        });
      });
      server.listen(socketPath);
      await once(server, 'listening');
      await chmod(socketPath, mode);
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      for (const { reject } of waiting.values()) reject(new Error('control stops'));
      const closing = server;
      if (closing) await new Promise<void>((resolve) => closing.close(() => resolve()));
    },
    expect() {
      const ticket = randomBytes(32).toString('base64url');
      const pending = Promise.withResolvers<Socket>();
      pending.promise.catch(() => undefined);
      waiting.set(ticket, pending);
      return {
        ticket,
        socket: pending.promise,
        cancel(reason) {
          waiting.delete(ticket);
          pending.reject(reason);
        },
      };
    },
  };
}

/** The keeper's end. */
export async function openTaskStream(socketPath: string, ticket: string): Promise<Socket> {
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  await once(socket, 'connect');
  socket.write(ticket);
  return socket;
}

async function readTicket(socket: Socket): Promise<string | undefined> {
  for (;;) {
    const bytes: Buffer | null = socket.read(ticketLength);
    if (bytes) return bytes.toString('latin1');
    if (socket.readableEnded || socket.destroyed) return undefined;
    await Promise.race([once(socket, 'readable'), once(socket, 'close')]).catch(() => undefined);
  }
}
