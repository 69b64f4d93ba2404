import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Log, TenantId } from '#src/kernel/index.ts';
import { connectRpc, createRpcServer, type RpcProtocol } from '#src/rpc/index.ts';
import type { DoorEnd } from './door-link.ts';
import { processErrors } from './errors.ts';
import type { Keeper } from './keeper.ts';
import { parseTenantId } from './keeper-link.ts';
import type { LaunchRequest } from './launcher.ts';
import type { LauncherPort } from './sandboxes.ts';
import { createTaskQueue, type VersionsPort } from './task-queue.ts';
import { createTaskStreams } from './task-streams.ts';
import type { TaskCommand } from './tasks.ts';
import type { AppFences, KeptApp, LogPage, LogQuery, RunSpec } from './types.ts';

/** Between control and the keeper, over `run/app-specs/link.sock`. */
interface SpecsProtocol extends RpcProtocol {
  readonly server: {
    readonly specOf: { params: { tenantId: TenantId }; result: RunSpec };
    readonly migrated: { params: { tenantId: TenantId; version: string }; result: null };
    /** Answered when the tenant's folder is there. */
    readonly layOut: { params: { tenantId: TenantId }; result: null };
    readonly keepFolder: { params: { tenantId: TenantId }; result: null };
  };
  readonly client: {
    /** Answered when nothing of the tenant's app runs. */
    readonly evict: { params: { tenantId: TenantId; isPatient: boolean }; result: null };
    /** Answered when it is healthy. */
    readonly wake: { params: { tenantId: TenantId }; result: null };
    readonly recheck: { params: { tenantId: TenantId }; result: null };
    readonly finishData: { params: { tenantId: TenantId }; result: null };
    readonly fences: { params: null; result: AppFences };
    readonly list: { params: null; result: readonly KeptApp[] };
    readonly readLog: { params: { tenantId: TenantId; query: LogQuery }; result: LogPage };
    readonly removeData: { params: { tenantId: TenantId }; result: null };
    /** Answered when the task is over. */
    readonly runTask: { params: WireTask; result: DoorEnd };
    /** What a build has written becomes a version. */
    readonly finishBuild: { params: { app: string; digest: string }; result: null };
    readonly removeVersion: { params: { app: string; digest: string }; result: null };
  };
}

/** A command in a sandbox; its standard input and output are the stream that belongs to the ticket. */
interface WireTask extends TaskCommand {
  readonly request: LaunchRequest;
  readonly ticket: string;
}

/** The longest start that a manifest may ask for, and its migration. */
const wakeDeadlineMs = 15 * 60_000;
const evictDeadlineMs = 60_000;
const taskDeadlineMs = 60 * 60_000;

/** What the keeper asks of control. */
export interface SpecsClient {
  specOf(tenantId: TenantId): Promise<RunSpec>;
  migrated(tenantId: TenantId, version: string): Promise<void>;
  layOut(tenantId: TenantId): Promise<void>;
  keepFolder(tenantId: TenantId): Promise<void>;
  close(): Promise<void>;
}

export function connectToSpecs(of: {
  readonly socketPath: string;
  readonly keeper: () => Keeper;
  readonly streamsPath: string;
  readonly launcher: LauncherPort & VersionsPort;
  readonly log: Log;
}): SpecsClient {
  const tasks = createTaskQueue(of);
  const link = connectRpc<SpecsProtocol>({
    socketPath: of.socketPath,
    handlers: {
      evict: async ({ tenantId, isPatient }) => {
        await of.keeper().evict(tenantId, { isPatient });
        return null;
      },
      recheck: async ({ tenantId }) => {
        await of.keeper().recheck(tenantId);
        return null;
      },
      finishData: async ({ tenantId }) => {
        await of.launcher.finishData(tenantId);
        return null;
      },
      wake: async ({ tenantId }) => {
        await of.keeper().enter(tenantId);
        return null;
      },
      fences: () => of.launcher.fences(),
      list: () => of.keeper().list(),
      readLog: ({ tenantId, query }) => of.keeper().readLog(tenantId, query),
      removeData: async ({ tenantId }) => {
        await of.keeper().evict(tenantId);
        await of.launcher.removeData(tenantId);
        await of.keeper().removeLog(tenantId);
        return null;
      },
      runTask: (task) => tasks.run(task),
      finishBuild: async ({ app, digest }) => {
        await of.launcher.finishBuild(app, digest);
        return null;
      },
      removeVersion: async ({ app, digest }) => {
        await of.launcher.removeVersion(app, digest);
        return null;
      },
    },
    onConnected: () => {
      // What was said meanwhile was not heard. Not awaited: it asks over this very link.
      setImmediate(
        () =>
          void of
            .keeper()
            .recheckAll()
            .catch((error) => of.log.error('apps could not be looked at', { error })),
      );
    },
    log: of.log,
  });
  return {
    specOf: (tenantId) => link.call('specOf', { tenantId }),
    migrated: async (tenantId, version) => {
      await link.call('migrated', { tenantId, version });
    },
    async layOut(tenantId) {
      await link.call('layOut', { tenantId }, { timeoutMs: taskDeadlineMs });
    },
    async keepFolder(tenantId) {
      await link.call('keepFolder', { tenantId }, { timeoutMs: taskDeadlineMs });
    },
    async close() {
      tasks.stop();
      await link.close();
    },
  };
}

/** What control asks of the keeper. While there is none nothing runs, because sandboxes end with it. */
export interface SpecsServer {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** @param isPatient requests that it has come to their end first */
  evict(tenantId: TenantId, options?: { readonly isPatient: boolean }): Promise<void>;
  /** Ends the app unless it may go on just as it is. */
  recheck(tenantId: TenantId): Promise<void>;
  finishData(tenantId: TenantId): Promise<void>;
  /** FH_APP_FAILED with the last lines of the log; FH_APP_BUSY when there is no keeper. */
  wake(tenantId: TenantId): Promise<void>;
  list(): Promise<readonly KeptApp[]>;
  /** undefined: the keeper is not there. */
  fences(): Promise<AppFences | undefined>;
  readLog(tenantId: TenantId, query: LogQuery): Promise<LogPage>;
  removeData(tenantId: TenantId): Promise<void>;
  /** Runs a command in a sandbox to its end; the longest may take an hour. Rejects when it could not be begun, or `input` failed. */
  runTask(request: LaunchRequest, task: TaskCommand, streams: ServedStreams): Promise<DoorEnd>;
  finishBuild(app: string, digest: string): Promise<void>;
  removeVersion(app: string, digest: string): Promise<void>;
}

export interface ServedStreams {
  readonly input?: AsyncIterable<Uint8Array>;
  /** Reads the output to its end. */
  readonly output: (content: Readable, ended: Promise<DoorEnd>) => Promise<void>;
}

export function createSpecsServer(of: {
  readonly socketPath: string;
  readonly streamsPath: string;
  readonly mode: number;
  readonly specOf: (tenantId: TenantId) => Promise<RunSpec>;
  readonly migrated: (tenantId: TenantId, version: string) => Promise<void>;
  readonly layOut: (tenantId: TenantId) => Promise<void>;
  readonly keepFolder: (tenantId: TenantId) => Promise<void>;
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
      layOut: async ({ tenantId }) => {
        await of.layOut(parseTenantId(tenantId));
        return null;
      },
      keepFolder: async ({ tenantId }) => {
        await of.keepFolder(parseTenantId(tenantId));
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
  const streams = createTaskStreams(of.streamsPath, of.mode);
  return {
    async start() {
      await streams.start();
      await server.start();
    },
    async stop() {
      await server.stop();
      await streams.stop();
    },
    async runTask(request, task, { input, output }) {
      const { ticket, socket, cancel } = streams.expect();
      const running = keeper().call('runTask', { ...task, request, ticket }, { timeoutMs: taskDeadlineMs });
      running.catch((error) => cancel(error));
      const serving = socket.then(async (stream) => {
        try {
          const fed = input
            ? pipeline(Readable.from(input), stream, { end: true })
            : Promise.resolve(void stream.end());
          await Promise.all([fed, output(stream, running)]);
        } finally {
          stream.destroy();
        }
      });
      serving.catch(() => undefined);
      try {
        const ended = await running;
        await serving;
        return ended;
      } finally {
        cancel(new Error('the task is over'));
      }
    },
    async finishBuild(app, digest) {
      await keeper().call('finishBuild', { app, digest }, { timeoutMs: evictDeadlineMs });
    },
    async removeVersion(app, digest) {
      await keeper().call('removeVersion', { app, digest }, { timeoutMs: evictDeadlineMs });
    },
    async evict(tenantId, { isPatient } = { isPatient: false }) {
      // Whoever goes on as if it had ended must know that it has.
      await keeper().call('evict', { tenantId, isPatient }, { timeoutMs: evictDeadlineMs });
    },
    async recheck(tenantId) {
      await server.broadcast('recheck', { tenantId }, { timeoutMs: evictDeadlineMs });
    },
    async finishData(tenantId) {
      await keeper().call('finishData', { tenantId });
    },
    async wake(tenantId) {
      await keeper().call('wake', { tenantId }, { timeoutMs: wakeDeadlineMs });
    },
    fences: async () => (server.peers.size === 0 ? undefined : keeper().call('fences', null)),
    list: async () => (server.peers.size === 0 ? [] : keeper().call('list', null)),
    readLog: (tenantId, query) => keeper().call('readLog', { tenantId, query }),
    async removeData(tenantId) {
      await keeper().call('removeData', { tenantId }, { timeoutMs: evictDeadlineMs });
    },
  };
}
