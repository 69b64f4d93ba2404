import type { ClusterPair, FailoverReport, PairStatus } from '#src/clusters/index.ts';
import { createLog, type Log } from '#src/kernel/index.ts';
import { connectRpc, createRpcServer, type RpcServer } from '#src/rpc/index.ts';

/** What the supervisor does for the operator, with or without a living control. */
interface SupervisorMethods {
  readonly describeCluster: { readonly params: null; readonly result: PairStatus };
  readonly failover: { readonly params: { readonly acceptLoss: boolean } | null; readonly result: FailoverReport };
}
interface OperatorMethods {
  readonly progress: { readonly params: { readonly text: string }; readonly result: null };
}
interface SupervisorProtocol {
  readonly server: SupervisorMethods;
  readonly client: OperatorMethods;
}

/** Stopping, replaying, promoting: each has its own, shorter deadline. */
const failoverDeadlineMs = 900_000;

/** Only who started us may connect: the socket is closed to everybody else. */
export function createSupervisorLink(
  socketPath: string,
  { pair, log }: { pair: ClusterPair; log: Log },
): RpcServer<OperatorMethods> {
  return createRpcServer<SupervisorProtocol>({
    socketPath,
    mode: 0o600,
    handlers: {
      describeCluster: () => pair.status(),
      failover: (params, peer) =>
        pair.failover((text) => peer.notify('progress', { text }), { acceptLoss: params?.acceptLoss === true }),
    },
    log,
  });
}

export interface SupervisorClient {
  describeCluster(): Promise<PairStatus>;
  failover(options: { readonly acceptLoss: boolean }): Promise<FailoverReport>;
  close(): Promise<void>;
}

export function connectToSupervisor(socketPath: string, onProgress: (text: string) => void): SupervisorClient {
  const link = connectRpc<SupervisorProtocol>({
    socketPath,
    handlers: {
      progress: ({ text }) => {
        onProgress(text);
        return null;
      },
    },
    log: createLog({ level: 'silent' }),
  });
  return {
    describeCluster: () => link.call('describeCluster', null),
    failover: ({ acceptLoss }) => link.call('failover', { acceptLoss }, { timeoutMs: failoverDeadlineMs }),
    close: () => link.close(),
  };
}
