import type { Log, TenantId } from '#src/kernel/index.ts';
import { connectRpc, createRpcServer, type RpcProtocol } from '#src/rpc/index.ts';
import { processErrors } from './errors.ts';
import type { Keeper } from './keeper.ts';
import { parseTenantId } from './keeper-link.ts';
import type { KeptApp, RunSpec } from './types.ts';

/** Between control and the keeper, over `run/app-specs/link.sock`. */
interface SpecsProtocol extends RpcProtocol {
  readonly server: {
    readonly specOf: { params: { tenantId: TenantId }; result: RunSpec };
    readonly migrated: { params: { tenantId: TenantId; version: string }; result: null };
  };
  readonly client: {
    /** Answered when nothing of the tenant's app runs. */
    readonly evict: { params: { tenantId: TenantId }; result: null };
    /** Answered when it is healthy. */
    readonly wake: { params: { tenantId: TenantId }; result: null };
    readonly list: { params: null; result: readonly KeptApp[] };
    readonly tail: { params: { tenantId: TenantId; lines: number }; result: readonly string[] };
    readonly removeData: { params: { tenantId: TenantId }; result: null };
  };
}

/** The longest start that a manifest may ask for, and its migration. */
const wakeDeadlineMs = 15 * 60_000;
const evictDeadlineMs = 60_000;

/** What the keeper asks of control. */
export interface SpecsClient {
  specOf(tenantId: TenantId): Promise<RunSpec>;
  migrated(tenantId: TenantId, version: string): Promise<void>;
  close(): Promise<void>;
}

export function connectToSpecs(of: {
  readonly socketPath: string;
  readonly keeper: () => Keeper;
  readonly removeData: (tenantId: TenantId) => Promise<void>;
  readonly log: Log;
}): SpecsClient {
  const link = connectRpc<SpecsProtocol>({
    socketPath: of.socketPath,
    handlers: {
      evict: async ({ tenantId }) => {
        await of.keeper().evict(tenantId);
        return null;
      },
      wake: async ({ tenantId }) => {
        await of.keeper().enter(tenantId);
        return null;
      },
      list: () => of.keeper().list(),
      tail: ({ tenantId, lines }) => of.keeper().tail(tenantId, lines),
      removeData: async ({ tenantId }) => {
        await of.keeper().evict(tenantId);
        await of.removeData(tenantId);
        return null;
      },
    },
    log: of.log,
  });
  return {
    specOf: (tenantId) => link.call('specOf', { tenantId }),
    migrated: async (tenantId, version) => {
      await link.call('migrated', { tenantId, version });
    },
    close: () => link.close(),
  };
}

/** What control asks of the keeper. While there is none nothing runs, because sandboxes end with it. */
export interface SpecsServer {
  start(): Promise<void>;
  stop(): Promise<void>;
  evict(tenantId: TenantId): Promise<void>;
  /** FH_APP_FAILED with the last lines of the log; FH_APP_BUSY when there is no keeper. */
  wake(tenantId: TenantId): Promise<void>;
  list(): Promise<readonly KeptApp[]>;
  tail(tenantId: TenantId, lines: number): Promise<readonly string[]>;
  removeData(tenantId: TenantId): Promise<void>;
}

export function createSpecsServer(of: {
  readonly socketPath: string;
  readonly mode: number;
  readonly specOf: (tenantId: TenantId) => Promise<RunSpec>;
  readonly migrated: (tenantId: TenantId, version: string) => Promise<void>;
  readonly log: Log;
}): SpecsServer {
  const server = createRpcServer<SpecsProtocol>({
    socketPath: of.socketPath,
    mode: of.mode,
    handlers: {
      specOf: ({ tenantId }) => of.specOf(parseTenantId(tenantId)),
      migrated: async ({ tenantId, version }) => {
        await of.migrated(parseTenantId(tenantId), String(version));
        return null;
      },
    },
    log: of.log,
  });
  const keeper = () => {
    const [newest] = [...server.peers].sort((a, b) => b.peerId - a.peerId);
    if (!newest) throw processErrors.FH_APP_BUSY({ detail: 'the keeper of apps is not there' });
    return newest;
  };
  return {
    start: () => server.start(),
    stop: () => server.stop(),
    async evict(tenantId) {
      await server.broadcast('evict', { tenantId }, { timeoutMs: evictDeadlineMs });
    },
    async wake(tenantId) {
      await keeper().call('wake', { tenantId }, { timeoutMs: wakeDeadlineMs });
    },
    list: async () => (server.peers.size === 0 ? [] : keeper().call('list', null)),
    tail: (tenantId, lines) => keeper().call('tail', { tenantId, lines }),
    async removeData(tenantId) {
      await keeper().call('removeData', { tenantId }, { timeoutMs: evictDeadlineMs });
    },
  };
}
