import { type CancelSignal, kernelErrors, type Log, type TenantId } from '#src/kernel/index.ts';
import { connectRpc, type RpcClient } from '#src/rpc/index.ts';
import type { AppLinkProtocol, Entrance } from './types.ts';

export interface AppProcessesOptions {
  readonly socketPath: string;
  readonly log: Log;
  /** How long a request waits for an app to wake. Default 90,000. */
  readonly wakeMs?: number;
  /** Default 5,000. */
  readonly tellUseEveryMs?: number;
}

/** A request's stay at an instance, which is not put to sleep meanwhile. */
export interface AppVisit extends Entrance {
  /** It may last for hours: nobody waits for its end who starts the app anew, but the app does not sleep meanwhile. */
  becomeStream(): void;
  leave(): void;
}

export interface AppProcessesClient {
  isAwake(tenantId: TenantId): boolean;
  visit(tenantId: TenantId, signal: CancelSignal): Promise<AppVisit>;
  forget(tenantId: TenantId, instanceId: string): void;
  stop(): Promise<void>;
}

/**
 * A gateway's end of `link.sock`. Invariant: `letGo` is answered with true only when no visit of the instance is under way and none begins without another `enter`;
 * an entrance whose answer is still on its way counts as one that is used.
 */
export function createAppProcesses(options: AppProcessesOptions): AppProcessesClient {
  const { socketPath, log, wakeMs = 90_000, tellUseEveryMs = 5_000 } = options;
  const entrances = new Map<TenantId, Entrance>();
  const entering = new Map<TenantId, Promise<Entrance>>();
  /** Instances that ended while an `enter` was on its way, which may answer with them. */
  const ended = new Set<string>();
  const visits = new Map<string, { readonly tenantId: TenantId; count: number; streams: number }>();
  let used = new Set<TenantId>();
  let generation = 0;
  let rpc: RpcClient<AppLinkProtocol['server']> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const forget = (tenantId: TenantId, instanceId: string) => {
    if (entrances.get(tenantId)?.instanceId === instanceId) entrances.delete(tenantId);
  };

  const tellUse = () => {
    for (const { tenantId } of visits.values()) used.add(tenantId);
    if (used.size === 0 || !rpc?.connected) return;
    const tenantIds = [...used];
    used = new Set();
    rpc.call('used', { tenantIds }).catch((error: unknown) => {
      log.warn('the keeper of apps could not be told which are used', { error, tenants: tenantIds.length });
    });
  };

  /** Most installations have no such app: the first one that is asked for connects. */
  const link = () => {
    rpc ??= connectRpc<AppLinkProtocol>({
      socketPath,
      log,
      waitMs: 10_000,
      onLost: () => {
        generation++;
        entrances.clear();
      },
      handlers: {
        letGo: ({ tenantId, instanceId }) => {
          if (entering.has(tenantId) || visits.has(instanceId)) return false;
          forget(tenantId, instanceId);
          return true;
        },
        isLeft: ({ instanceId }) => {
          const { count, streams } = visits.get(instanceId) ?? { count: 0, streams: 0 };
          return count === streams;
        },
        ended: ({ tenantId, instanceId }) => {
          forget(tenantId, instanceId);
          if (entering.has(tenantId)) ended.add(instanceId);
          return null;
        },
      },
    });
    timer ??= setInterval(tellUse, tellUseEveryMs).unref();
    return rpc;
  };

  const enter = async (tenantId: TenantId): Promise<Entrance> => {
    for (let attempt = 1; ; attempt++) {
      const startedIn = generation;
      const entrance = parseEntrance(await link().call('enter', { tenantId }, { timeoutMs: wakeMs }));
      const isOld = startedIn !== generation || ended.has(entrance.instanceId);
      if (isOld && attempt < 3) continue;
      if (!isOld) entrances.set(tenantId, entrance);
      return entrance;
    }
  };

  const enterOnce = (tenantId: TenantId): Promise<Entrance> => {
    let flight = entering.get(tenantId);
    if (!flight) {
      flight = enter(tenantId).finally(() => {
        entering.delete(tenantId);
        if (entering.size === 0) ended.clear();
      });
      entering.set(tenantId, flight);
    }
    return flight;
  };

  const begin = (tenantId: TenantId, entrance: Entrance): AppVisit => {
    const { instanceId } = entrance;
    const visit = visits.get(instanceId) ?? { tenantId, count: 0, streams: 0 };
    visit.count++;
    visits.set(instanceId, visit);
    used.add(tenantId);
    let isHere = true;
    let isStream = false;
    return {
      ...entrance,
      becomeStream: () => {
        if (!isHere || isStream) return;
        isStream = true;
        visit.streams++;
      },
      leave: () => {
        if (!isHere) return;
        isHere = false;
        if (isStream) visit.streams--;
        used.add(tenantId);
        if (--visit.count === 0) visits.delete(instanceId);
      },
    };
  };

  return {
    isAwake: (tenantId) => entrances.has(tenantId),
    visit: async (tenantId, signal) => {
      const known = entrances.get(tenantId);
      if (known) return begin(tenantId, known);
      // Whoever waits has begun the visit in the same turn in which the entrance became known: nothing comes between.
      return begin(tenantId, await unlessAborted(enterOnce(tenantId), signal));
    },
    forget,
    stop: async () => {
      clearInterval(timer);
      await rpc?.close();
    },
  };
}

function unlessAborted<T>(work: Promise<T>, signal: CancelSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** It comes from another process, which starts apps. */
function parseEntrance(value: unknown): Entrance {
  const { instanceId, socketPath } = (value ?? {}) as Partial<Entrance>;
  if (typeof instanceId !== 'string' || typeof socketPath !== 'string' || !socketPath.startsWith('/'))
    throw kernelErrors.FH_INTERNAL({ detail: 'the keeper of apps gave a malformed entrance' });
  return { instanceId, socketPath };
}
