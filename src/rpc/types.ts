/** One method: what is sent and what comes back. Both must survive JSON (no Date, no bytes: send text). */
export interface RpcMethod {
  readonly params: unknown;
  readonly result: unknown;
}

export type RpcMethods<M> = { readonly [K in keyof M]: RpcMethod };

/** Both directions of one socket: what the server answers and what the client answers. */
export interface RpcProtocol {
  readonly server: object;
  readonly client: object;
}

type ParamsOf<M, K extends keyof M> = M[K] extends RpcMethod ? M[K]['params'] : never;
type ResultOf<M, K extends keyof M> = M[K] extends RpcMethod ? M[K]['result'] : never;

/** One function per method. An unknown error crosses as FH_INTERNAL and is logged where it happened. */
export type RpcHandlers<M, Peer> = {
  readonly [K in keyof M]: (params: ParamsOf<M, K>, peer: Peer) => Promise<ResultOf<M, K>> | ResultOf<M, K>;
};

export interface CallOptions {
  /** Default 10,000. */
  readonly timeoutMs?: number;
}

/** The other end, as far as it may be called. */
export interface RpcCaller<M> {
  /** Asks and waits. Throws the other side's FreeholdError, FH_RPC_TIMEOUT, or FH_CONTROL_UNAVAILABLE when the link is or gets lost. */
  call<K extends keyof M & string>(method: K, params: ParamsOf<M, K>, options?: CallOptions): Promise<ResultOf<M, K>>;
  /** Tells without waiting; lost when the link is down. */
  notify<K extends keyof M & string>(method: K, params: ParamsOf<M, K>): void;
}

/** One connected client, seen from the server. */
export interface RpcPeer<M> extends RpcCaller<M> {
  /** Counts up over the life of the server. */
  readonly peerId: number;
  readonly closed: Promise<void>;
  close(): void;
}

export interface RpcServer<M> {
  /** Binds the socket. Throws FH_SOCKET_IN_USE when a living process answers on it. */
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly peers: ReadonlySet<RpcPeer<M>>;
  /**
   * Asks every peer that is connected now and waits for all. A peer that does not answer in time, or answers with an
   * error, is disconnected: it will come back and start afresh. @returns how many answered and how many were dropped.
   */
  broadcast<K extends keyof M & string>(
    method: K,
    params: ParamsOf<M, K>,
    options?: CallOptions,
  ): Promise<{ readonly answered: number; readonly dropped: number }>;
}

export interface RpcClient<M> extends RpcCaller<M> {
  readonly connected: boolean;
  close(): Promise<void>;
}
