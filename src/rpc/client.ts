import { connect } from 'node:net';
import { jitter, type Log } from '#src/kernel/index.ts';
import { type Channel, handlerFinder, openChannel } from './channel.ts';
import { rpcErrors } from './errors.ts';
import type { RpcClient, RpcHandlers, RpcProtocol } from './types.ts';

const firstDelayMs = 25;
const maxDelayMs = 500;

export interface RpcClientOptions<P extends RpcProtocol> {
  readonly socketPath: string;
  readonly handlers: RpcHandlers<P['client'], undefined>;
  /** Runs on every (re-)connection before any call goes out; when it throws, the connection is dropped and made again. */
  readonly onConnected?: () => Promise<void> | void;
  readonly onLost?: () => void;
  readonly log: Log;
  /** How long a call waits for a connection before it fails with FH_CONTROL_UNAVAILABLE. Default 2,000; 0: not at all. */
  readonly waitMs?: number;
}

/** Connects, and connects again for ever, slower and slower, until closed. */
export function connectRpc<P extends RpcProtocol>(options: RpcClientOptions<P>): RpcClient<P['server']> {
  const { socketPath, handlers, log, waitMs = 2_000 } = options;
  const waiting = new Set<() => void>();
  let channel: Channel | undefined;
  let opening: Channel | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let stopped = false;

  const retryLater = () => {
    if (stopped) return;
    const ceilingMs = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(failures, 10));
    failures++;
    timer = setTimeout(open, ceilingMs * (0.5 + jitter() / 2));
  };

  const open = () => {
    const socket = connect(socketPath);
    const failed = (error: Error) => {
      // Once per outage, not once per try.
      if (failures === 1) log.warn('the socket cannot be reached; trying on', { error });
      retryLater();
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      const made = openChannel(socket, handlerFinder(handlers, undefined), log);
      opening = made;
      void made.closed.then(() => {
        if (opening === made) opening = undefined;
        if (channel === made) {
          channel = undefined;
          log.warn('the link was lost');
          options.onLost?.();
        }
        retryLater();
      });
      void Promise.resolve()
        .then(() => options.onConnected?.())
        .then(
          () => {
            if (opening !== made) return;
            channel = made;
            if (failures > 1) log.info('the link is back');
            failures = 0;
            for (const wake of waiting) wake();
          },
          (error: unknown) => {
            log.error('the link could not be prepared', { error });
            made.close();
          },
        );
    });
  };
  open();

  const connection = async (): Promise<Channel> => {
    if (channel) return channel;
    if (waitMs > 0 && !stopped) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(limit);
          waiting.delete(wake);
          resolve();
        };
        const limit = setTimeout(wake, waitMs);
        waiting.add(wake);
      });
    }
    if (!channel) throw rpcErrors.FH_CONTROL_UNAVAILABLE();
    return channel;
  };

  const call: Channel['call'] = async (method, params, callOptions) =>
    (channel ?? (await connection())).call(method, params, callOptions);

  return {
    get connected() {
      return channel !== undefined;
    },
    call: call as RpcClient<P['server']>['call'],
    notify: (method, params) => channel?.notify(method, params),
    close: async () => {
      stopped = true;
      clearTimeout(timer);
      for (const wake of waiting) wake();
      const last = opening;
      last?.close();
      await last?.closed;
    },
  };
}
