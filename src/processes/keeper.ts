import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, type FreeholdError, type Log, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import { createAppLog, removeAppLog } from './app-log.ts';
import { type DoorEnd, describeEnd } from './door-link.ts';
import { processErrors } from './errors.ts';
import { createFolderWatch } from './folder-watch.ts';
import { type Instance, type StartDeps, startInstance } from './instance.ts';
import { type Kept, newKept } from './kept.ts';
import { readLogPage } from './log-page.ts';
import { runMigration } from './migration.ts';
import { createRoom, type Room } from './room.ts';
import { isFinal, isSameRun, secretsOf } from './run-spec.ts';
import type { LauncherPort } from './sandboxes.ts';
import type { AppState, Entrance, KeptApp, LogPage, LogQuery, RunSpec } from './types.ts';

export interface KeeperDeps {
  readonly launcher: LauncherPort;
  /** FH_TENANT_NOT_ACTIVE unless the tenant may run now. */
  readonly specOf: (tenantId: TenantId) => Promise<RunSpec>;
  /** The `migrate` command of this version has come to its end with 0. */
  readonly migrated: (tenantId: TenantId, version: string) => Promise<void>;
  /** Whether the tenant's writable folder is there. */
  readonly hasFolder: (tenantId: TenantId) => Promise<boolean>;
  /** Makes it, from what is kept of it. */
  readonly layOut: (tenantId: TenantId) => Promise<void>;
  /** Keeps what lies in it now. Called when the app has ended. */
  readonly keepFolder: (tenantId: TenantId) => Promise<void>;
  /** Whether every gateway lets go of the instance: nobody's request is under way. */
  readonly letGo: (tenantId: TenantId, instanceId: string) => Promise<boolean>;
  /** Whether no gateway has a request of the instance that will end by itself. */
  readonly isLeft: (instanceId: string) => Promise<boolean>;
  /** Nobody may enter the instance from now on. */
  readonly tellEnded: (tenantId: TenantId, instanceId: string) => void;
  readonly openBackChannel?: StartDeps['openBackChannel'];
  readonly logDir: string;
  /** Of all that are awake together. */
  readonly room: Room;
  /** Bytes that the tenant's folder has on the disk; undefined: it cannot be said now. */
  readonly measureFolder: (tenantId: TenantId) => Promise<number | undefined>;
  /** Time to end by itself after SIGTERM. Default 10,000. */
  readonly graceMs?: number;
  /** How long an app that is to be started anew is waited for by requests that it has. Default 15,000. */
  readonly drainMs?: number;
  /** After the first crash; doubled with each, up to a minute. Default 500. */
  readonly firstBackOffMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Keeper {
  /** Wakes the app, and resolves when it is healthy. Errors as in AppLinkProtocol. */
  enter(tenantId: TenantId): Promise<Entrance>;
  used(tenantIds: readonly TenantId[]): void;
  /** The tenant is closed: ends its app, also one that is waking. @param isPatient requests that it has come to their end first */
  evict(tenantId: TenantId, options?: { readonly isPatient: boolean }): Promise<void>;
  /**
   * Something about the tenant has changed: its app goes on only when it may run now, and would be started just as it was. Otherwise it is started anew with
   * the next request; those that it has come to their end, and those that come meanwhile wait.
   */
  recheck(tenantId: TenantId): Promise<void>;
  /** After control was away. */
  recheckAll(): Promise<void>;
  /** Puts to sleep who was idle for long enough and is let go of by everybody. */
  sleepIdle(): Promise<void>;
  /** Ends who has written more into its folder than its limit. Often: what is written in between is not held back. */
  watchFolders(): Promise<void>;
  list(): readonly KeptApp[];
  readLog(tenantId: TenantId, query: LogQuery): Promise<LogPage>;
  /** The tenant is no more. Call `evict` before. */
  removeLog(tenantId: TenantId): Promise<void>;
  stop(): Promise<void>;
}

const longestBackOffMs = 60_000;
/** Whoever lived so long is well again. */
const settledMs = 60_000;
/** A request waits for the end of a back-off that is shorter. */
const patienceMs = 3_000;
const askAgainMs = 2_000;
const drainPauseMs = 20;

/**
 * Who is awake. Invariants: one instance per tenant at a time; none is ended while a gateway has a request of it, but when its tenant is closed; all that are
 * awake together fit into `room`.
 */
export function createKeeper(deps: KeeperDeps): Keeper {
  const { clock, log, graceMs = 10_000, firstBackOffMs = 500, drainMs = 15_000 } = deps;
  const apps = new Map<TenantId, Kept>();
  const now = () => clock.monotonicMs();
  const room = createRoom({ apps, most: deps.room, now, trySleep });
  const folders = createFolderWatch({
    measure: deps.measureFolder,
    now,
    async onFull(tenantId, kept, instance, failure) {
      if (kept.change || kept.instance !== instance) return;
      kept.isFull = true;
      // At once: whoever is asked to end goes on writing.
      await change(kept, () => crashed(tenantId, kept, instance, { code: null, signal: null, failure }));
    },
  });
  let count = 0;
  let isStopping = false;

  function keptOf(tenantId: TenantId): Kept {
    let kept = apps.get(tenantId);
    if (!kept) {
      kept = newKept(now());
      apps.set(tenantId, kept);
    }
    return kept;
  }

  async function enter(tenantId: TenantId): Promise<Entrance> {
    for (;;) {
      // Anew each time: who was evicted meanwhile is another one afterwards.
      const kept = keptOf(tenantId);
      if (isStopping) throw processErrors.FH_APP_BUSY({ detail: 'the keeper stops' });
      kept.lastUsedMs = now();
      const { instance } = kept;
      if (kept.state === 'awake' && instance && !instance.end) return instance.entrance;
      const waitMs = kept.retryAtMs - now();
      const was = kept.state;
      if (kept.change) await kept.change;
      else if (instance?.end) await change(kept, () => crashed(tenantId, kept, instance, instance.end!));
      else if (kept.state === 'failed' && waitMs > patienceMs) throw kept.error!;
      else if (kept.state === 'failed' && waitMs > 0) await delay(waitMs);
      else await begin(tenantId, kept);
      // A start that failed has failed for everybody who waited for it.
      if (was === 'waking' && (kept.state as AppState) !== 'awake' && kept.error) throw kept.error;
    }
  }

  /** One change at a time: whoever begins one has seen that there is none. */
  function change(kept: Kept, work: () => Promise<void>): Promise<void> {
    const done = work();
    const settled = done
      .catch(() => undefined)
      .then(() => {
        if (kept.change === settled) kept.change = undefined;
      });
    kept.change = settled;
    return done;
  }

  function begin(tenantId: TenantId, kept: Kept): Promise<void> {
    return change(kept, async () => {
      kept.state = 'waking';
      kept.error = undefined;
      clearTimeout(kept.timer);
      const abort = new AbortController();
      kept.abort = abort;
      try {
        const spec = await deps.specOf(tenantId);
        kept.spec = spec;
        await refuseFull(tenantId, kept, spec);
        await room.take(kept, spec.limits);
        kept.log ??= createAppLog({ path: pathOf(tenantId), secrets: secretsOf(spec), clock });
        if (!(await deps.hasFolder(tenantId))) await deps.layOut(tenantId);
        abort.signal.throwIfAborted();
        const { launcher } = deps;
        if (spec.migrate) {
          await runMigration(spec, spec.migrate, { ...deps, log: kept.log, signal: abort.signal });
          await deps.migrated(spec.tenantId, spec.version);
        }
        const instanceId = `${process.pid}-${++count}`;
        const instance = await startInstance(spec, instanceId, {
          launcher,
          log: kept.log,
          clock,
          signal: abort.signal,
          ...(deps.openBackChannel && { openBackChannel: deps.openBackChannel }),
        });
        kept.instance = instance;
        kept.state = 'awake';
        kept.error = undefined;
        void instance.ended.then((end) => {
          // While it is being changed, whoever changes it looks.
          if (kept.instance === instance && !kept.change)
            void change(kept, () => crashed(tenantId, kept, instance, end));
        });
        if (abort.signal.aborted) await end(tenantId, kept, instance);
        else if (instance.end) await crashed(tenantId, kept, instance, instance.end);
      } catch (error) {
        if (abort.signal.aborted) {
          kept.state = 'asleep';
          kept.error = processErrors.FH_APP_BUSY({ detail: 'the tenant was changed meanwhile', cause: error });
          throw kept.error;
        }
        const failure = toFreeholdError(error);
        kept.error = failure;
        if (failure.code !== 'FH_APP_FAILED') {
          kept.state = 'asleep';
          throw failure;
        }
        fail(tenantId, kept, failure);
        throw failure;
      }
    });
  }

  async function refuseFull(tenantId: TenantId, kept: Kept, spec: RunSpec): Promise<void> {
    const reason = kept.isFull ? await folders.findExcess(tenantId, spec) : undefined;
    if (reason !== undefined) throw processErrors.FH_APP_FAILED({ detail: reason });
    kept.isFull = false;
  }

  async function crashed(tenantId: TenantId, kept: Kept, instance: Instance, how: DoorEnd): Promise<void> {
    const reason = describeEnd(how);
    kept.state = 'stopping';
    kept.instance = undefined;
    deps.tellEnded(tenantId, instance.entrance.instanceId);
    kept.log?.note(`the app is gone: ${reason}`);
    log.warn('an app died', { tenantId, reason });
    await instance.stop(0);
    if (now() - instance.startedMs > settledMs) kept.failures = 0;
    const lines = kept.log?.tail(20).join('\n') ?? '';
    fail(tenantId, kept, processErrors.FH_APP_FAILED({ detail: `${reason}\n${lines}` }));
    // It may have work to do without anybody asking; but who is not used any more may as well sleep.
    const isInUse = kept.spec !== undefined && (kept.spec.idleMs === 0 || now() - kept.lastUsedMs < kept.spec.idleMs);
    if (isInUse && !isStopping)
      kept.timer = setTimeout(() => {
        if (!kept.change && kept.state === 'failed') void begin(tenantId, kept).catch(() => undefined);
      }, kept.retryAtMs - now()).unref();
  }

  function fail(tenantId: TenantId, kept: Kept, error: FreeholdError): void {
    const pauseMs = Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(kept.failures++, 20));
    kept.state = 'failed';
    kept.instance = undefined;
    kept.error = error;
    kept.retryAtMs = now() + pauseMs;
    log.warn('an app does not run', { tenantId, failures: kept.failures, pauseMs });
  }

  async function end(tenantId: TenantId, kept: Kept, instance: Instance): Promise<void> {
    kept.state = 'stopping';
    deps.tellEnded(tenantId, instance.entrance.instanceId);
    await instance.stop(graceMs);
    await kept.log?.flush();
    kept.instance = undefined;
    kept.state = 'asleep';
  }

  /** @returns whether it sleeps now */
  async function trySleep(tenantId: TenantId, kept: Kept): Promise<boolean> {
    const { instance } = kept;
    if (kept.change || kept.state !== 'awake' || !instance) return false;
    const usedMs = kept.lastUsedMs;
    let sleeps = false;
    await change(kept, async () => {
      // Whoever enters from here on waits for this change, and finds it awake, or wakes it again.
      kept.state = 'stopping';
      const isFree = await deps.letGo(tenantId, instance.entrance.instanceId).catch(() => false);
      if (instance.end) return crashed(tenantId, kept, instance, instance.end);
      if (!isFree || kept.lastUsedMs !== usedMs) {
        kept.state = 'awake';
        return;
      }
      kept.log?.note('the app goes to sleep');
      await end(tenantId, kept, instance);
      sleeps = true;
    });
    // What lies there stays there; this is its copy, and nobody waits for it.
    if (sleeps)
      void deps.keepFolder(tenantId).catch((error) => log.warn('a folder could not be kept', { tenantId, error }));
    return sleeps;
  }

  async function evict(tenantId: TenantId, { isPatient } = { isPatient: false }): Promise<void> {
    const kept = apps.get(tenantId);
    if (!kept) return;
    clearTimeout(kept.timer);
    while (isPatient && kept.change) await kept.change;
    if (isPatient && kept.instance && kept.state === 'awake') await renew(tenantId, kept, kept.instance);
    for (;;) {
      kept.abort.abort(new Error('the tenant was closed'));
      if (kept.change) await kept.change;
      else if (kept.instance) {
        const { instance } = kept;
        await change(kept, () => end(tenantId, kept, instance));
      } else break;
    }
    clearTimeout(kept.timer);
    // In the same turn: whoever enters from here on finds nobody, and begins anew.
    apps.delete(tenantId);
    await kept.log?.flush();
  }

  async function renewUnlessSame(tenantId: TenantId, wanted: RunSpec): Promise<void> {
    for (;;) {
      const kept = apps.get(tenantId);
      if (kept?.change) await kept.change;
      else if (!kept?.spec || isSameRun(kept.spec, wanted)) return;
      else if (kept.instance) return renew(tenantId, kept, kept.instance);
      else return evict(tenantId);
    }
  }

  async function renew(tenantId: TenantId, kept: Kept, instance: Instance): Promise<void> {
    await change(kept, async () => {
      kept.state = 'stopping';
      const abort = new AbortController();
      kept.abort = abort;
      // Whoever comes from here on waits for this change.
      deps.tellEnded(tenantId, instance.entrance.instanceId);
      const untilMs = now() + drainMs;
      while (!(await deps.isLeft(instance.entrance.instanceId)) && now() < untilMs && !instance.end) {
        if (abort.signal.aborted) break;
        await delay(drainPauseMs, undefined, { signal: abort.signal }).catch(() => undefined);
      }
      kept.log?.note('the app is started anew, because something about its tenant has changed');
      await end(tenantId, kept, instance);
      // What is to be kept out of it may be something else now.
      kept.log = undefined;
      kept.spec = undefined;
    });
  }

  const pathOf = (tenantId: TenantId): string => join(deps.logDir, `${tenantId}.log`);

  return {
    enter,
    used(tenantIds) {
      for (const tenantId of tenantIds) {
        const kept = apps.get(tenantId);
        if (kept) kept.lastUsedMs = now();
      }
    },
    evict,
    async recheck(tenantId) {
      if (!apps.has(tenantId)) return;
      let wanted: RunSpec;
      try {
        wanted = await deps.specOf(tenantId);
      } catch (error) {
        if (isFinal(error)) return evict(tenantId);
        // Control is away or busy; nobody is ended for that.
        setTimeout(() => void this.recheck(tenantId).catch(() => undefined), askAgainMs).unref();
        return;
      }
      // Who may run now is not disturbed on its way, and nobody waits for that way's end.
      void renewUnlessSame(tenantId, wanted).catch((error) => log.error('an app was not renewed', { tenantId, error }));
    },
    async recheckAll() {
      for (const tenantId of [...apps.keys()]) await this.recheck(tenantId);
    },
    async sleepIdle() {
      for (const [tenantId, kept] of apps) {
        const idleMs = kept.spec?.idleMs ?? 0;
        if (idleMs > 0 && now() - kept.lastUsedMs >= idleMs) await trySleep(tenantId, kept);
      }
    },
    watchFolders: () => folders.look(apps),
    list: () =>
      [...apps].map(([tenantId, { state, spec, lastUsedMs, failures, instance, error }]) => ({
        tenantId,
        state,
        version: spec?.version,
        idleMs: Math.round(now() - lastUsedMs),
        upMs: instance ? Math.round(now() - instance.startedMs) : undefined,
        failures,
        memoryBytes: spec?.limits.memoryBytes,
        error: state === 'failed' ? error?.detail : undefined,
      })),
    async readLog(tenantId, query) {
      await apps.get(tenantId)?.log?.flush();
      return readLogPage(pathOf(tenantId), query);
    },
    removeLog: (tenantId) => removeAppLog(pathOf(tenantId)),
    async stop() {
      isStopping = true;
      await Promise.all(
        [...apps].map(async ([tenantId, kept]) => {
          clearTimeout(kept.timer);
          kept.abort.abort(new Error('the keeper stops'));
          while (kept.change) await kept.change;
          if (kept.instance) await end(tenantId, kept, kept.instance);
        }),
      );
    },
  };
}
