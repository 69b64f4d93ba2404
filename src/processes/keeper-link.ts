import { isId, kernelErrors, type Log, type TenantId } from '#src/kernel/index.ts';
import { createRpcServer, type RpcPeer } from '#src/rpc/index.ts';
import type { Keeper } from './keeper.ts';
import type { AppLinkProtocol } from './types.ts';

export interface KeeperLink {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Whether every gateway has let go. One that does not answer is disconnected, and so knows of no instance any more. */
  letGo(tenantId: TenantId, instanceId: string): Promise<boolean>;
  /** Whether no gateway has a request of it that will end by itself. */
  isLeft(instanceId: string): Promise<boolean>;
  tellEnded(tenantId: TenantId, instanceId: string): void;
}

const answerWithinMs = 2_000;

/** The keeper's end of the socket that gateways ask. They face the internet, so what they send is checked. */
export function startKeeperLink(of: {
  readonly socketPath: string;
  readonly keeper: Pick<Keeper, 'enter' | 'used'>;
  readonly log: Log;
}): KeeperLink {
  const server = createRpcServer<AppLinkProtocol>({
    socketPath: of.socketPath,
    // The folder says who may enter.
    mode: 0o666,
    handlers: {
      enter: ({ tenantId }) => of.keeper.enter(parseTenantId(tenantId)),
      used: ({ tenantIds }) => {
        if (!Array.isArray(tenantIds)) throw kernelErrors.FH_INVALID_REQUEST();
        of.keeper.used(tenantIds.map(parseTenantId));
        return null;
      },
    },
    log: of.log,
  });
  const everyGateway = async (ask: (peer: RpcPeer<AppLinkProtocol['client']>) => Promise<boolean>) => {
    const answers = await Promise.all(
      [...server.peers].map(async (peer) => {
        try {
          return await ask(peer);
        } catch {
          // It may have a request of it under way.
          peer.close();
          return false;
        }
      }),
    );
    return answers.every(Boolean);
  };
  return {
    start: () => server.start(),
    stop: () => server.stop(),
    letGo: (tenantId, instanceId) =>
      everyGateway((peer) => peer.call('letGo', { tenantId, instanceId }, { timeoutMs: answerWithinMs })),
    isLeft: (instanceId) => everyGateway((peer) => peer.call('isLeft', { instanceId }, { timeoutMs: answerWithinMs })),
    tellEnded(tenantId, instanceId) {
      for (const peer of server.peers) peer.notify('ended', { tenantId, instanceId });
    },
  };
}

export function parseTenantId(value: unknown): TenantId {
  if (!isId('ten', value)) throw kernelErrors.FH_INVALID_REQUEST({ detail: 'malformed tenant id' });
  return value;
}
