import type { ClusterPair, FailoverReport, PairStatus } from '#src/clusters/index.ts';
import { createLog, type Log } from '#src/kernel/index.ts';
import { connectRpc, createRpcServer, type RpcServer } from '#src/rpc/index.ts';
import { mainErrors } from './errors.ts';

/** What the supervisor does for the operator, with or without a living control. */
interface SupervisorMethods {
  /** `cluster`: default the main one. */
  readonly describeCluster: { readonly params: { readonly cluster?: string } | null; readonly result: PairStatus };
  readonly failover: {
    readonly params: { readonly acceptLoss: boolean; readonly cluster?: string } | null;
    readonly result: FailoverReport;
  };
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
  options: {
    readonly pair: ClusterPair;
    readonly findPair: (cluster: string) => Promise<ClusterPair | undefined>;
    readonly log: Log;
  },
): RpcServer<OperatorMethods> {
  const getPair = async (cluster = 'main'): Promise<ClusterPair> => {
    const found = cluster === 'main' ? options.pair : await options.findPair(cluster);
    if (!found) throw mainErrors.FH_SERVER_MISSING({ detail: cluster });
    return found;
  };
  return createRpcServer<SupervisorProtocol>({
    socketPath,
    mode: 0o600,
    handlers: {
      describeCluster: async (params) => (await getPair(params?.cluster)).status(),
      failover: async (params, peer) =>
        (await getPair(params?.cluster)).failover((text) => peer.notify('progress', { text }), {
          acceptLoss: params?.acceptLoss === true,
        }),
    },
    log: options.log,
  });
}

export interface SupervisorClient {
  describeCluster(cluster?: string): Promise<PairStatus>;
  failover(options: { readonly acceptLoss: boolean; readonly cluster?: string }): Promise<FailoverReport>;
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
    describeCluster: (cluster) => link.call('describeCluster', cluster === undefined ? null : { cluster }),
    failover: (options) => link.call('failover', options, { timeoutMs: failoverDeadlineMs }),
    close: () => link.close(),
  };
}
