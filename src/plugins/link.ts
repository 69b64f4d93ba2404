import { isId, kernelErrors, type Log, type TenantId } from '#src/kernel/index.ts';
import { connectRpc, createRpcServer, type RpcProtocol } from '#src/rpc/index.ts';
import { pluginErrors } from './errors.ts';
import type { PluginHost } from './host.ts';
import type { PluginEnd, PluginOrder, StateAnswer, StateCall } from './types.ts';

/** Between control and the keeper of apps, over `run/app-specs/plugins.sock`. */
interface PluginProtocol extends RpcProtocol {
  readonly server: {
    /** Only of a run that is under way. */
    readonly state: { params: { runId: string; call: StateCall }; result: StateAnswer };
  };
  readonly client: {
    /** Answered when it is over. */
    readonly run: { params: PluginOrder; result: PluginEnd };
    /** Of a run that is not there it does nothing. */
    readonly end: { params: { runId: string; reason: string }; result: null };
    readonly readLog: { params: { tenantId: TenantId; last: number }; result: readonly string[] };
    readonly removeLog: { params: { tenantId: TenantId }; result: null };
  };
}

/** Beyond the plugin's own time: its sandbox has to come and go. */
const graceMs = 60_000;

/** What control asks of the keeper. FH_PLUGIN_BUSY when there is none. */
export interface PluginKeeper {
  run(order: PluginOrder): Promise<PluginEnd>;
  /** Ends a run before its time; `run` says so then. */
  end(runId: string, reason: string): Promise<void>;
  readLog(tenantId: TenantId, last: number): Promise<readonly string[]>;
  removeLog(tenantId: TenantId): Promise<void>;
}

export function createPluginLink(of: {
  readonly socketPath: string;
  readonly mode: number;
  readonly state: (runId: string, call: StateCall) => Promise<StateAnswer>;
  readonly log: Log;
}): PluginKeeper & { start(): Promise<void>; stop(): Promise<void> } {
  const server = createRpcServer<PluginProtocol>({
    socketPath: of.socketPath,
    mode: of.mode,
    handlers: { state: ({ runId, call }) => of.state(String(runId), parseStateCall(call)) },
    log: of.log,
  });
  const keeper = () => {
    const [newest] = [...server.peers].sort((a, b) => b.peerId - a.peerId);
    if (!newest) throw pluginErrors.FH_PLUGIN_BUSY({ detail: 'the keeper of apps is not there' });
    return newest;
  };
  return {
    start: () => server.start(),
    stop: () => server.stop(),
    end: async (runId, reason) => void (await keeper().call('end', { runId, reason })),
    run: async (order) => keeper().call('run', order, { timeoutMs: order.timeoutMs + graceMs }),
    readLog: async (tenantId, last) => keeper().call('readLog', { tenantId, last }),
    removeLog: async (tenantId) => void (await keeper().call('removeLog', { tenantId })),
  };
}

/** The keeper's end. */
export function connectToPlugins(of: {
  readonly socketPath: string;
  readonly host: Pick<PluginHost, 'run' | 'end' | 'endAll'>;
  readonly readLog: (tenantId: TenantId, last: number) => Promise<readonly string[]>;
  readonly removeLog: (tenantId: TenantId) => Promise<void>;
  readonly log: Log;
}): { state(runId: string, call: StateCall): Promise<StateAnswer>; close(): Promise<void> } {
  const link = connectRpc<PluginProtocol>({
    socketPath: of.socketPath,
    handlers: {
      run: (order) => of.host.run(order),
      async end({ runId, reason }) {
        of.host.end(runId, reason);
        return null;
      },
      readLog: ({ tenantId, last }) => of.readLog(parseTenantId(tenantId), last),
      removeLog: async ({ tenantId }) => {
        await of.removeLog(parseTenantId(tenantId));
        return null;
      },
    },
    // Whoever comes next knows nothing of these runs: nobody could end them.
    onLost: () => of.host.endAll('control was gone'),
    log: of.log,
  });
  return {
    state: (runId, call) => link.call('state', { runId, call }),
    close: () => link.close(),
  };
}

/** It comes from the keeper, which reads what plugins say. */
function parseStateCall(call: unknown): StateCall {
  const { kind, key, value, prefix } = (call ?? {}) as Readonly<Record<string, unknown>>;
  if (kind === 'list' && typeof prefix === 'string') return { kind, prefix };
  if (kind === 'set' && typeof key === 'string' && typeof value === 'string') return { kind, key, value };
  if ((kind === 'get' || kind === 'delete') && typeof key === 'string') return { kind, key };
  throw kernelErrors.FH_INVALID_REQUEST({ detail: 'malformed call' });
}

function parseTenantId(value: unknown): TenantId {
  if (!isId('ten', value)) throw kernelErrors.FH_INVALID_REQUEST({ detail: 'malformed tenant id' });
  return value;
}
