import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Log } from '#src/kernel/index.ts';
import { handlerFinder, openChannel } from './channel.ts';
import { rpcErrors } from './errors.ts';
import type { RpcHandlers, RpcPeer, RpcProtocol, RpcServer } from './types.ts';

export interface RpcServerOptions<P extends RpcProtocol> {
  /** Absolute path, at most 103 bytes (the smallest limit of the systems we run on). */
  readonly socketPath: string;
  /** File mode of the socket, for example 0o600; the folder should be closed as well. */
  readonly mode: number;
  readonly handlers: RpcHandlers<P['server'], RpcPeer<P['client']>>;
  readonly onPeer?: (peer: RpcPeer<P['client']>) => void;
  readonly log: Log;
}

export function createRpcServer<P extends RpcProtocol>(options: RpcServerOptions<P>): RpcServer<P['client']> {
  type Peer = RpcPeer<P['client']>;
  const { socketPath, mode, handlers, log } = options;
  const peers = new Set<Peer>();
  let lastPeerId = 0;

  const server = createServer((socket) => {
    const peerId = ++lastPeerId;
    // The handlers need the peer and the peer is made of the channel: looked up at call time.
    const channel = openChannel(socket, (method) => handlerFinder(handlers, peer)(method), log.child({ peerId }));
    const peer: Peer = {
      peerId,
      closed: channel.closed,
      close: channel.close,
      notify: channel.notify,
      call: channel.call as Peer['call'],
    };
    peers.add(peer);
    void channel.closed.then(() => peers.delete(peer));
    options.onPeer?.(peer);
  });

  return {
    peers,
    start: async () => {
      if (Buffer.byteLength(socketPath) > 103) throw rpcErrors.FH_SOCKET_PATH_TOO_LONG({ detail: socketPath });
      await removeStaleSocket(socketPath);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // The file is made inside listen(), so for that moment nobody else gets a right by default.
        const umask = process.umask(0o177);
        try {
          server.listen(socketPath, () => {
            server.off('error', reject);
            server.on('error', (error) => log.error('the socket failed', { error }));
            resolve();
          });
        } finally {
          process.umask(umask);
        }
      });
      await chmod(socketPath, mode);
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const peer of peers) peer.close();
      await closed;
    },
    broadcast: async (method, params, callOptions) => {
      const asked = [...peers];
      const outcomes = await Promise.allSettled(asked.map((peer) => peer.call(method, params, callOptions)));
      let dropped = 0;
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled') continue;
        dropped++;
        const peer = asked[index]!;
        log.warn('disconnected a process that did not answer', { peerId: peer.peerId, method, error: outcome.reason });
        peer.close();
      }
      return { answered: asked.length - dropped, dropped };
    },
  };
}

/** Removes a socket that a killed process left behind; never anything else, and never a living one. */
async function removeStaleSocket(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!found) return;
  if (!found.isSocket()) throw rpcErrors.FH_SOCKET_IN_USE({ detail: `${socketPath} is not a socket` });
  if (await isAnswering(socketPath)) throw rpcErrors.FH_SOCKET_IN_USE({ detail: socketPath });
  await unlink(socketPath);
}

function isAnswering(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(socketPath);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      // EAGAIN: somebody listens, but the queue is full.
      if (error.code === 'EAGAIN') resolve(true);
      else if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}
