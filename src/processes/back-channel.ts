import { readdir, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';

/** A door out of one sandbox, to the provider of its own tenant. */
export interface BackChannelDoor {
  close(): Promise<void>;
}

export interface BackChannelCaller {
  readonly tenantId: TenantId;
  /** The tenant's, without port. */
  readonly host: string;
}

/** Connections of one sandbox at once; what an app opens beyond is closed. */
const mostConnections = 64;
/** Gateways may be starting. */
const patienceMs = 10_000;
const pauseMs = 100;

/**
 * Listens in the link folder of a sandbox, which only the door-keeper may enter, and passes bytes to a gateway, whichever answers. It says first whose they are: the
 * app has no say in that.
 */
export async function openBackChannel(
  { tenantId, host }: BackChannelCaller,
  of: {
    /** `prepare` gave it. */
    readonly sandboxFolder: string;
    /** Where gateways listen, as *.sock. */
    readonly gatewaysFolder: string;
    readonly clock: Clock;
    readonly log: Log;
  },
): Promise<BackChannelDoor> {
  const path = join(of.sandboxFolder, 'link', 'provider.sock');
  const sockets = new Set<Socket>();
  const closing = new AbortController();
  const server = createServer({ allowHalfOpen: true }, (outer) => {
    sockets.add(outer);
    outer.on('close', () => sockets.delete(outer)).on('error', () => outer.destroy());
    findGateway(of.gatewaysFolder, of.clock, closing.signal).then(
      (inner) => {
        if (outer.destroyed) return inner.destroy();
        inner.on('error', () => inner.destroy()).on('close', () => outer.destroy());
        outer.on('close', () => inner.destroy());
        inner.write(`${JSON.stringify({ tenantId, host })}\n`);
        outer.pipe(inner);
        inner.pipe(outer);
      },
      (error) => {
        if (!closing.signal.aborted) of.log.warn('no gateway answers an app', { tenantId, error });
        outer.destroy();
      },
    );
  });
  server.maxConnections = mostConnections;
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The folder says who may enter.
    server.listen({ path, readableAll: true, writableAll: true }, resolve);
  });
  return {
    async close() {
      closing.abort();
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await rm(path, { force: true }).catch(() => undefined);
    },
  };
}

async function findGateway(folder: string, clock: Clock, signal: AbortSignal): Promise<Socket> {
  const untilMs = clock.monotonicMs() + patienceMs;
  for (;;) {
    const names = await readdir(folder).catch(() => []);
    const first = Math.floor(clock.monotonicMs()) % Math.max(1, names.length);
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const socket = name.endsWith('.sock') && (await tryConnect(join(folder, name)));
      if (socket) return socket;
    }
    if (clock.monotonicMs() > untilMs) throw new Error(`no gateway listens in ${folder}`);
    await delay(pauseMs, undefined, { signal });
  }
}

/** Undefined: who listened there is gone. */
function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path, allowHalfOpen: true });
    const failed = () => resolve(undefined);
    socket.once('error', failed).once('connect', () => {
      socket.off('error', failed);
      resolve(socket);
    });
  });
}
