import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import { connectRpc } from '#src/rpc/index.ts';
import { createDirectoryClient, type DirectoryClient, type DirectoryClientOptions } from './directory-client.ts';
import { type LinkProtocol, parseTenantId, type WireTraffic } from './link.ts';
import { createLiveEvents, type LiveEvents } from './live-events.ts';

export interface ControlClient {
  readonly directory: DirectoryClient;
  readonly liveEvents: LiveEvents;
  /** Notes signed-in use; told to control every half minute. */
  noteUse(tenantId: TenantId): void;
  /** False: the tenant is about to go back to what it had. */
  noteWritten(tenantId: TenantId): Promise<boolean>;
  /** Told to control every two seconds. */
  recordTraffic(
    tenantId: TenantId,
    version: string,
    answer: { readonly isError: boolean; readonly durationMs: number },
  ): void;
  /** Resolves when control has written the message down. */
  queueMail(tenantId: TenantId, order: object): Promise<void>;
  /** Resolves when every region has this content; rejects after 20 s. */
  keepFile(tenantId: TenantId, name: string): Promise<void>;
  readonly connected: boolean;
  /** Tells what was noted, then ends the link. */
  stop(): Promise<void>;
}

export interface ControlClientOptions extends Omit<DirectoryClientOptions, 'clock'> {
  readonly socketPath: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Default 30,000. */
  readonly tellUseEveryMs?: number;
  /** This worker's numbers, for control to add up. */
  readonly metrics?: () => Promise<readonly object[]>;
}

/** Control is started again at once when it dies; on a busy machine that takes seconds, and people wait rather than read an error. */
const waitForControlMs = 10_000;
/** A transaction of the tenant is open meanwhile, and ends by itself after a minute. */
const keepFileMs = 20_000;
const tellTrafficEveryMs = 2_000;

/** A gateway worker's end of link.sock. */
export function connectToControl(options: ControlClientOptions): ControlClient {
  const { socketPath, log, tellUseEveryMs = 30_000 } = options;
  const rpc = connectRpc<LinkProtocol>({
    socketPath,
    log,
    waitMs: waitForControlMs,
    onConnected: () => directory.flush(),
    handlers: {
      tenantChanged: async ({ tenantId }) => {
        await directory.changed(parseTenantId(tenantId));
        return null;
      },
      metrics: () => options.metrics?.() ?? [],
      deliver: ({ tenantId, event }) => {
        liveEvents.deliver(parseTenantId(tenantId), event);
        return null;
      },
    },
  });
  const directory = createDirectoryClient(rpc, options);
  const liveEvents = createLiveEvents((tenantId, event) => rpc.notify('publish', { tenantId, event }));

  let used = new Set<TenantId>();
  const tellUse = async () => {
    if (used.size === 0 || !rpc.connected) return;
    const tenantIds = [...used];
    used = new Set();
    try {
      await rpc.call('recordUse', { tenantIds }, { timeoutMs: 5_000 });
    } catch (error) {
      log.warn('last use could not be recorded', { error, tenants: tenantIds.length });
      for (const tenantId of tenantIds) used.add(tenantId);
    }
  };
  const timer = setInterval(tellUse, tellUseEveryMs);
  timer.unref();
  let traffic = new Map<string, { -readonly [K in keyof WireTraffic]: WireTraffic[K] } & { durationsMs: number[] }>();
  const tellTraffic = () => {
    if (traffic.size === 0 || !rpc.connected) return;
    const reports = [...traffic.values()];
    traffic = new Map();
    rpc.call('recordTraffic', { reports }, { timeoutMs: 5_000 }).catch((error: unknown) => {
      log.warn('requests to apps could not be told of', { error, tenants: reports.length });
    });
  };
  const trafficTimer = setInterval(tellTraffic, tellTrafficEveryMs);
  trafficTimer.unref();

  return {
    directory,
    liveEvents,
    noteUse: (tenantId) => void used.add(tenantId),
    noteWritten: (tenantId) => rpc.call('noteWritten', { tenantId }, { timeoutMs: 10_000 }),
    recordTraffic: (tenantId, version, { isError, durationMs }) => {
      const key = `${tenantId} ${version}`;
      const counts = traffic.get(key) ?? { tenantId, version, requests: 0, errors: 0, durationsMs: [] };
      traffic.set(key, counts);
      counts.requests++;
      if (isError) counts.errors++;
      if (counts.durationsMs.length < 500) counts.durationsMs.push(Math.round(durationMs));
    },
    queueMail: async (tenantId, order) => {
      await rpc.call('queueMail', { tenantId, order }, { timeoutMs: 20_000 });
    },
    keepFile: async (tenantId, name) => {
      await rpc.call('keepFile', { tenantId, name }, { timeoutMs: keepFileMs });
    },
    get connected() {
      return rpc.connected;
    },
    stop: async () => {
      clearInterval(timer);
      clearInterval(trafficTimer);
      await tellUse();
      await rpc.close();
    },
  };
}
