import { EventEmitter } from 'node:events';
import { recordAudit } from '#src/audit/index.ts';
import {
  FreeholdError,
  failpoint,
  newId,
  type OperationId,
  type RetryOptions,
  retry,
  type TenantId,
} from '#src/kernel/index.ts';
import { isRetryable } from '#src/postgres/index.ts';
import { createCredentials } from './credentials.ts';
import { tenantErrors } from './errors.ts';
import type { OperationInputs } from './flow.ts';
import { graceDaysOf } from './flows/delete.ts';
import { createFlows, type FlowDeps } from './flows/index.ts';
import { confirmMove, findMove } from './flows/move.ts';
import { secretContext, secretSealer } from './flows/steps.ts';
import {
  type DeletionCertificate,
  findCertificate,
  findOperation,
  insertOperation,
  listOperations,
  lockTenants,
  type OperationQuery,
  reopenOperation,
  selectRunningOperations,
  selectStuckOperations,
  takeSealedResult,
  toOperation,
} from './operations-sql.ts';
import { createDatabasePool } from './pool.ts';
import type { LifecycleDeps } from './ports.ts';
import { changeResidency, type WantedResidency } from './residency.ts';
import { createRetries } from './retries.ts';
import { runOperation } from './runner.ts';
import { dropDueSnapshots } from './snapshots.ts';
import {
  findTenant,
  findTenantByName,
  isDuplicate,
  listTenants,
  selectDueKeys,
  selectKnownDatabases,
  type TenantPage,
  type TenantQuery,
} from './sql.ts';
import type { Operation, OperationKind, OperationProgress, RestoreMoment, Tenant, WantedMoment } from './types.ts';

/** The registry and the life of tenants: what control, the console and the command line call. */
export interface TenantLifecycle {
  /** Records an operation and begins it. @param tenantId undefined for `create` and `import`; the source for `clone`. */
  startOperation<K extends OperationKind>(
    kind: K,
    tenantId: TenantId | undefined,
    input: OperationInputs[K],
    actor: string,
  ): Promise<Operation>;
  /** Resolves when the operation no longer runs, or when the process stops. */
  waitForOperation(operationId: OperationId): Promise<Operation>;
  /** Goes on with everything that was running, or could not be taken back, when the process ended; call once at the start. @returns how many */
  resumeAll(): Promise<number>;
  /** Tries a failed operation again from the step that failed. */
  /** Recorded in the transaction that opens it again; so is `cancelOperation`. */
  retryOperation(operationId: OperationId, actor: string): Promise<Operation>;
  /** Takes back what a failed operation did; not for `delete`. */
  cancelOperation(operationId: OperationId, actor: string): Promise<Operation>;
  getOperation(operationId: OperationId): Promise<Operation>;
  listOperations(query?: OperationQuery): Promise<Operation[]>;
  /** Calls back after every change of the operation, and for its progress. @returns stops it */
  watchOperation(operationId: OperationId, onChange: () => void): () => void;
  /** What an operation shows once, to whoever asked for it, for example `{invitationUrl}`. FH_OPERATION_SHOWN afterwards. */
  takeSecretResult(operationId: OperationId, actor: string): Promise<Record<string, string>>;
  getTenant(idOrName: string): Promise<Tenant>;
  findTenant(tenantId: TenantId): Promise<Tenant | undefined>;
  /** The tenant, deleted or not, and the moment for `restore`; errors as in RestorePort, FH_RESTORE_UNAVAILABLE without backups. */
  findRestoreSource(
    idOrName: string,
    moment: WantedMoment,
  ): Promise<{ readonly tenantId: TenantId; readonly moment: RestoreMoment }>;
  listTenants(query?: TenantQuery): Promise<TenantPage>;
  getCertificate(certificateOrTenantId: string): Promise<DeletionCertificate>;
  /** Every database that the registry accounts for: for finding those that nobody knows. */
  knownDatabases(): Promise<string[]>;
  /** Days between a deletion and the destruction of the key; 0: at once, always so without backups. */
  readonly deletionGraceDays: number;
  /** Destroys the keys of deleted tenants whose grace period is over, one after the other. Rejects when one could not be destroyed. @returns how many */
  destroyDueKeys(signal?: AbortSignal): Promise<number>;
  /** The last move of the tenant, until it is confirmed or what it left is gone. */
  findMove(tenant: Tenant): ReturnType<typeof findMove>;
  /** The last move of the tenant is not to be taken back any more: the database that it left goes. FH_MOVE_CONFIRMED when there is none. */
  confirmMove(tenant: Tenant, actor: string): Promise<void>;
  /** Where its data may be; null: anywhere. FH_RESIDENCY_NOT_KEPT when some of it lies elsewhere. */
  changeResidency(tenant: Tenant, residency: WantedResidency | null, actor: string): Promise<void>;
  /** Drops snapshots whose time is over. @returns how many */
  dropDueSnapshots(signal?: AbortSignal): Promise<number>;
  /** Starts the pool of prepared databases. */
  startPool(): void;
  /** Begins nothing more; waits for running steps, at most `graceMs`. What is not finished goes on at the next start. */
  stop(graceMs?: number): Promise<void>;
}

export interface TenantLifecycleOptions extends LifecycleDeps {
  /** Prepared databases per app. Default 4. */
  readonly preparedDatabases?: number;
}

export function createTenantLifecycle(options: TenantLifecycleOptions): TenantLifecycle {
  const { db, log, clock, settings } = options;
  const concurrency = settings.concurrency ?? 4;
  const stopping = new AbortController();
  const changes = new EventEmitter().setMaxListeners(0);
  const progress = new Map<OperationId, OperationProgress>();
  const running = new Map<OperationId, Promise<void>>();
  const queue: (() => void)[] = [];
  let active = 0;

  const pool = createDatabasePool({
    ...options,
    apps: settings.apps,
    size: options.preparedDatabases,
    isBusy: () => active > 0,
  });
  const deps: FlowDeps = { ...options, credentials: createCredentials(options), pool };
  const flows = createFlows(deps);

  const retries = createRetries({
    goOn: tryAgain,
    signal: stopping.signal,
    log,
    firstPauseMs: settings.firstUndoPauseMs,
  });

  /** What could not be taken back. It may be `running` already, when the answer to an earlier try was lost. */
  async function tryAgain(operationId: OperationId): Promise<void> {
    const operation = await findOperation(db, operationId);
    const isStuck = operation?.state === 'failed' && operation.undoing;
    // Somebody may have been quicker.
    if (isStuck && !(await reopenOperation(db, operationId, true))) return;
    if (isStuck || operation?.state === 'running') launch(operationId);
    else retries.forget(operationId);
  }

  function launch(operationId: OperationId): void {
    if (running.has(operationId) || stopping.signal.aborted) return;
    const runner = {
      deps,
      flows,
      signal: stopping.signal,
      onChange(changed: OperationId, reported?: OperationProgress) {
        if (reported) progress.set(changed, reported);
        else progress.delete(changed);
        changes.emit(changed);
      },
      wasTold: retries.triesOf(operationId) > 0,
    };
    // A turn for each try: what waits for the books keeps nobody from theirs.
    const run = retry(bookkeeping(operationId), () => inTurn(() => runOperation(runner, operationId)))
      .then((end) => (end === 'stuck' ? retries.schedule(operationId) : retries.forget(operationId)))
      // We stop: it stays `running` in the books.
      .catch(() => {})
      .finally(() => {
        running.delete(operationId);
        progress.delete(operationId);
        changes.emit(operationId);
      });
    running.set(operationId, run);
  }

  /** The control database may be away for a while (a restart, a failover): the operation waits for it instead of for our restart. */
  function bookkeeping(operationId: OperationId): RetryOptions {
    let tries = 0;
    return {
      attempts: Number.POSITIVE_INFINITY,
      firstDelayMs: 200,
      maxDelayMs: settings.maxRetryDelayMs ?? 5_000,
      signal: stopping.signal,
      isRetryable: (error) => {
        tries++;
        // After the first, second, fourth, eighth …; from some five minutes on a person must look.
        if (Number.isInteger(Math.log2(tries)) && !stopping.signal.aborted) {
          const say = tries < 60 ? log.warn : log.error;
          say('an operation could not be recorded and is tried again', { operationId, tries, error });
        }
        return !stopping.signal.aborted;
      },
    };
  }

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (active >= concurrency) await new Promise<void>((resolve) => queue.push(resolve));
    active++;
    try {
      return await work();
    } finally {
      active--;
      queue.shift()?.();
    }
  }

  async function getOperation(operationId: OperationId): Promise<Operation> {
    const record = await findOperation(db, operationId);
    if (!record) throw tenantErrors.FH_OPERATION_NOT_FOUND({ detail: operationId });
    const operation = toOperation(record);
    // Whoever hears of a success goes to the new address at once, so it is none before gateways were told.
    if (operation.state === 'succeeded' && running.has(operationId))
      return { ...operation, state: 'running', finishedAt: undefined };
    return { ...operation, progress: progress.get(operationId) };
  }

  async function goOn(operationId: OperationId, undoing: boolean, actor: string): Promise<Operation> {
    const operation = await getOperation(operationId);
    const { state, kind, tenantId, sourceTenantId } = operation;
    if (state !== 'failed') throw tenantErrors.FH_OPERATION_STATE({ detail: `it is ${state}, not failed` });
    if (undoing && !flows[kind].cancellable) {
      throw tenantErrors.FH_OPERATION_STATE({ detail: `${kind} cannot be taken back`, hint: 'Try it again instead.' });
    }
    await db.transaction(async (tx) => {
      await lockTenants(tx, sourceTenantId ? [tenantId, sourceTenantId] : [tenantId], operationId);
      // A tenant whose deletion failed may be restored from; that changes nothing of what is left to delete.
      const later = await listOperations(tx, { tenantId, limit: 100 });
      const newer = later.find(
        (each) => !(kind === 'delete' && each.kind === 'restore' && each.sourceTenantId === tenantId),
      );
      if (newer && newer.operationId !== operationId) {
        throw tenantErrors.FH_OPERATION_STATE({ detail: `a later ${newer.kind} has changed the tenant since` });
      }
      // What was being taken back is never driven forward again.
      if (!(await reopenOperation(tx, operationId, undoing || Boolean(operation.undoing)))) {
        throw tenantErrors.FH_OPERATION_STATE();
      }
      await recordAudit(tx, {
        name: undoing ? 'tenant.operation_cancelled' : 'tenant.operation_retried',
        actor,
        subject: operationId,
        tenantId,
        details: { kind },
      });
      await failpoint('tenants.go_on.before_commit');
    });
    launch(operationId);
    return getOperation(operationId);
  }

  const lifecycle: TenantLifecycle = {
    async startOperation(kind, tenantId, input, actor) {
      if (stopping.signal.aborted) throw new Error('the lifecycle is stopped');
      const flow = flows[kind];
      const operationId = newId('opr');
      try {
        await db.transaction(async (tx) => {
          const begun = await flow.begin(tx, { operationId, tenantId, input: input as never, actor });
          const steps = flow.steps(begun.input as never);
          const next = steps.findIndex(({ isBeside }, at) => at > 0 && !isBeside);
          await insertOperation(
            tx,
            {
              operationId,
              kind,
              requestedBy: actor,
              tenantId: begun.tenantId,
              tenantName: begun.tenantName,
              sourceTenantId: begun.sourceTenantId,
              input: begun.input,
              steps: steps.map((step) => step.name),
              begun: next < 0 ? steps.length : next,
            },
            new Date(clock.now()),
          );
        });
      } catch (error) {
        if (isDuplicate(error)) throw tenantErrors.FH_TENANT_BUSY({ cause: error });
        if (isRetryable(error)) throw tenantErrors.FH_TENANT_BUSY({ detail: 'the registry is busy', cause: error });
        throw error;
      }
      const operation = await getOperation(operationId);
      launch(operationId);
      return operation;
    },

    async waitForOperation(operationId) {
      await running.get(operationId);
      return getOperation(operationId);
    },

    async resumeAll() {
      const operationIds = await selectRunningOperations(db);
      for (const operationId of operationIds) launch(operationId);
      const stuck = await selectStuckOperations(db);
      for (const operationId of stuck) {
        // The books may refuse it for the same reason, a full disk: everybody else is served meanwhile.
        await tryAgain(operationId).catch((error) => {
          log.warn('an operation could not be tried again yet', { operationId, error });
          retries.schedule(operationId);
        });
      }
      return operationIds.length + stuck.length;
    },

    retryOperation: (operationId, actor) => goOn(operationId, false, actor),
    cancelOperation: (operationId, actor) => goOn(operationId, true, actor),
    getOperation,
    listOperations: async (query = {}) =>
      (await listOperations(db, query)).map((operation) => ({
        ...operation,
        progress: progress.get(operation.operationId),
      })),

    watchOperation(operationId, onChange) {
      changes.on(operationId, onChange);
      return () => changes.off(operationId, onChange);
    },

    async takeSecretResult(operationId, actor) {
      const operation = await getOperation(operationId);
      // Whoever asked for the tenant gets the link, and nobody else.
      if (operation.requestedBy !== actor) throw tenantErrors.FH_OPERATION_NOT_FOUND({ detail: operationId });
      const sealed = operation.state === 'succeeded' ? await takeSealedResult(db, operationId) : undefined;
      if (!sealed) throw tenantErrors.FH_OPERATION_SHOWN();
      const sealer = await secretSealer(options.keys, operation.tenantId);
      return JSON.parse(sealer.open(sealed, secretContext(operationId)).toString());
    },

    async getTenant(idOrName) {
      const tenant = idOrName.startsWith('ten_')
        ? await findTenant(db, idOrName as TenantId)
        : await findTenantByName(db, idOrName);
      if (!tenant) throw tenantErrors.FH_TENANT_NOT_FOUND({ detail: JSON.stringify(idOrName.slice(0, 80)) });
      return tenant;
    },
    findTenant: (tenantId) => findTenant(db, tenantId),
    async findRestoreSource(idOrName, moment) {
      if (!options.restores) throw tenantErrors.FH_RESTORE_UNAVAILABLE();
      return options.restores.findSource(idOrName, moment);
    },
    listTenants: (query = {}) => listTenants(db, query),

    async getCertificate(id) {
      const certificate = await findCertificate(db, id);
      if (!certificate) throw tenantErrors.FH_CERTIFICATE_NOT_FOUND();
      return certificate;
    },

    knownDatabases: () => selectKnownDatabases(db),

    deletionGraceDays: graceDaysOf(options),
    async destroyDueKeys(signal) {
      let destroyed = 0;
      const failed: string[] = [];
      for (const tenantId of await selectDueKeys(db, new Date(clock.now()))) {
        if (signal?.aborted || stopping.signal.aborted) break;
        try {
          const { operationId } = await lifecycle.startOperation('destroy', tenantId, { whenDue: true }, 'system');
          const { state } = await lifecycle.waitForOperation(operationId);
          if (state === 'failed') failed.push(operationId);
          if (state === 'succeeded') destroyed++;
        } catch (error) {
          // Somebody else was about to, or has done it meanwhile.
          if (!isCode(error, 'FH_TENANT_BUSY') && !isCode(error, 'FH_TENANT_STATE')) throw error;
        }
      }
      if (failed.length > 0) throw tenantErrors.FH_KEY_NOT_DESTROYED({ detail: failed.join(', ') });
      return destroyed;
    },

    findMove: (tenant) => findMove(deps, tenant),
    async confirmMove(tenant, actor) {
      if (!(await confirmMove(deps, tenant, actor))) throw tenantErrors.FH_MOVE_CONFIRMED();
      await dropDueSnapshots(deps);
    },
    changeResidency: ({ tenantId }, residency, actor) =>
      changeResidency({ ...deps, places: settings.places }, tenantId, residency, actor),
    dropDueSnapshots: (signal) => dropDueSnapshots(deps, signal),
    startPool: () => pool.start(),

    async stop(graceMs = 20_000) {
      stopping.abort();
      for (const resolve of queue.splice(0)) resolve();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([Promise.all([...running.values(), pool.stop()]), late]);
      clearTimeout(timer);
    },
  };
  return lifecycle;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof FreeholdError && error.code === code;
}
