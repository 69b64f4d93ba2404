import { FreeholdError, failpoint, type OperationId, retry, toFreeholdError } from '#src/kernel/index.ts';
import { objectErrors, toStorageError } from '#src/objects/index.ts';
import { CommitUncertainError, ConnectionLostError, isRetryable, sqlState } from '#src/postgres/index.ts';
import type { Flow, Step, StepContext } from './flow.ts';
import type { FlowDeps } from './flows/index.ts';
import {
  type Facts,
  findOperation,
  markSteps,
  mergeFacts,
  mergeResult,
  type OperationRecord,
  unlockTenants,
  updateOperation,
} from './operations-sql.ts';
import { findTenant } from './sql.ts';
import type { OperationKind, OperationProgress } from './types.ts';

export interface RunnerDeps {
  readonly deps: FlowDeps;
  readonly flows: Readonly<Record<OperationKind, Flow>>;
  /** Stops between two steps; the operation goes on at the next start. */
  readonly signal: AbortSignal;
  readonly onChange: (operationId: OperationId, progress?: OperationProgress) => void;
  /** It was told before that this operation cannot be taken back yet: nobody needs to hear it again. */
  readonly wasTold?: boolean;
}

/** `stuck`: what it did could not be taken back. It is `failed`, its tenants are locked, and it is to be tried again. */
export type RunEnd = 'settled' | 'stuck';

/** object_not_in_prerequisite_state: the database accepts no connections. */
const closedDatabase = '55000';

/** The process is to stop: the operation stays `running` in the books. */
class Stopped extends Error {}

/** The control database was away when something was to be recorded: no fault of the operation, which goes on from its books later. */
class BooksAway extends Error {}

/**
 * Executes one recorded operation to its end. A step is marked before it begins and after it ended, so the next start knows what
 * may have happened. Failpoints stand right before and right after each step, inside those marks.
 */
export async function runOperation(runner: RunnerDeps, operationId: OperationId): Promise<RunEnd> {
  const operation = await findOperation(runner.deps.db, operationId);
  if (operation?.state !== 'running') return 'settled';
  const flow = runner.flows[operation.kind];
  const context = createContext(runner, flow, operation);
  try {
    if (!operation.undoing) {
      try {
        await goForward(runner, flow, context);
        return 'settled';
      } catch (error) {
        if (error instanceof Stopped || runner.signal.aborted) throw new Stopped();
        if (error instanceof BooksAway) throw error;
        await recordFailure(runner, flow, context, error);
        if (flow.onFailure === 'keep') return 'settled';
      }
    }
    return await goBack(runner, flow, context);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return 'settled';
  } finally {
    runner.onChange(operationId);
  }
}

interface PlacedStep {
  readonly step: Step;
  /** From 1. */
  readonly position: number;
}

function stepsOf(flow: Flow, { operation }: StepContext): PlacedStep[] {
  const steps = flow.steps(operation.input as never);
  return operation.steps.map(({ name }, index) => {
    const step = steps.find((candidate) => candidate.name === name);
    if (!step) throw new Error(`${operation.kind} has no step ${name}`);
    return { step, position: index + 1 };
  });
}

/** Each of them begins when the one before is done. */
function groupsOf(steps: readonly PlacedStep[]): PlacedStep[][] {
  const groups: PlacedStep[][] = [];
  for (const placed of steps) {
    const last = groups.at(-1);
    if (placed.step.isBeside && last) last.push(placed);
    else groups.push([placed]);
  }
  return groups;
}

async function goForward(runner: RunnerDeps, flow: Flow, context: StepContext): Promise<void> {
  const { db, log } = runner.deps;
  const { operationId, kind, steps } = context.operation;
  const isLazy = flow.isInWal?.(context.operation.input as never) === true;
  let done: { position: number; state: 'done' }[] = [];
  for (const together of groupsOf(stepsOf(flow, context))) {
    const waiting = together.filter(({ position }) => steps[position - 1]!.state !== 'done');
    if (waiting.length === 0) continue;
    // The first ones begin with the operation itself.
    const isMarked = done.length === 0 && waiting.every(({ position }) => steps[position - 1]!.state === 'running');
    const begun = waiting.map(({ position }) => ({ position, state: 'running' as const }));
    if (!isMarked) await inBooks(() => markSteps(db, operationId, [...done, ...begun], nowOf(runner), { isLazy }));
    runner.onChange(operationId);
    if (runner.signal.aborted) throw new Stopped();
    const ends = await Promise.allSettled(
      waiting.map(async ({ step }) => {
        await failpoint(`lifecycle.${kind}.${step.name}.before`);
        await tryStep(runner, () => step.run(context));
        await failpoint(`lifecycle.${kind}.${step.name}.after`);
      }),
    );
    // Not before all have come to an end: nothing may still be under way when it is taken back.
    done = waiting
      .filter((_, at) => ends[at]!.status === 'fulfilled')
      .map(({ position }) => ({ position, state: 'done' }));
    const failed = ends.find((end) => end.status === 'rejected');
    if (!failed) continue;
    if (done.length > 0) await inBooks(() => markSteps(db, operationId, done, nowOf(runner)));
    throw failed.reason;
  }
  await retryCommit(runner, () =>
    db.transaction(async (tx) => {
      if (!(await updateOperation(tx, operationId, { state: 'succeeded' }, nowOf(runner)))) return;
      if (done.length > 0) await markSteps(tx, operationId, done, nowOf(runner));
      await flow.finish(tx, context);
      await unlockTenants(tx, operationId);
    }),
  );
  await flow.announce?.(context).catch((error) => log.warn('gateways were not told', { operationId, error }));
}

/** Takes back what was done, the last step first. */
async function goBack(runner: RunnerDeps, flow: Flow, context: StepContext): Promise<RunEnd> {
  const { db, log } = runner.deps;
  const { operationId, kind } = context.operation;
  try {
    const current = await inBooks(() => findOperation(db, operationId));
    const begun = stepsOf(flow, context)
      .filter(({ position }) => ['running', 'done', 'failed'].includes(current!.steps[position - 1]!.state))
      .reverse();
    for (const { step, position } of begun) {
      if (runner.signal.aborted) throw new Stopped();
      await failpoint(`lifecycle.${kind}.${step.name}.undo`);
      if (step.undo) await tryStep(runner, () => step.undo!(context));
      await inBooks(() => markSteps(db, operationId, [{ position, state: 'undone' }], nowOf(runner)));
      runner.onChange(operationId);
    }
    await retryCommit(runner, () =>
      db.transaction(async (tx) => {
        if (!(await updateOperation(tx, operationId, { state: 'undone', undoing: false }, nowOf(runner)))) return;
        await flow.abandon(tx, context);
        await unlockTenants(tx, operationId);
      }),
    );
    await runner.deps.notifyGateways(context.tenantId).catch((error) => log.warn('gateways were not told', { error }));
    return 'settled';
  } catch (error) {
    if (error instanceof Stopped || runner.signal.aborted) throw new Stopped();
    if (error instanceof BooksAway) throw error;
    if (!runner.wasTold)
      log.error('an operation could not be taken back and is tried again, later and later', {
        operationId,
        kind,
        error,
      });
    // The tenants stay locked: half-undone is no state for another operation to begin from.
    await inBooks(() => updateOperation(db, operationId, { state: 'failed' }, nowOf(runner)));
    return 'stuck';
  }
}

async function recordFailure(runner: RunnerDeps, flow: Flow, context: StepContext, error: unknown): Promise<void> {
  const { db, log, recordAudit } = runner.deps;
  const { operationId, kind, requestedBy } = context.operation;
  const undoing = flow.onFailure === 'undo';
  const shown = toFreeholdError(describeFull(error));
  const current = await findOperation(db, operationId);
  const failedAt = current?.steps.findIndex((step) => step.state === 'running') ?? -1;
  const stepName = current?.steps[failedAt]?.name ?? 'end';
  log.error('an operation failed', { operationId, kind, step: stepName, error });
  await retryCommit(runner, () =>
    db.transaction(async (tx) => {
      const text = shown.code !== 'FH_INTERNAL' ? shown.message : `The step "${stepName}" failed. The log says why.`;
      const end = { state: undoing ? 'running' : 'failed', undoing, error: { code: shown.code, text } } as const;
      if (!(await updateOperation(tx, operationId, end, nowOf(runner)))) return;
      if (failedAt >= 0) await markSteps(tx, operationId, [{ position: failedAt + 1, state: 'failed' }], nowOf(runner));
      if (!undoing) await unlockTenants(tx, operationId);
      await recordAudit(tx, {
        name: 'tenant.operation_failed',
        actor: requestedBy,
        subject: context.tenantId,
        tenantId: context.tenantId,
        details: { operation: kind, step: stepName, code: shown.code },
      });
    }),
  );
  runner.onChange(operationId);
}

/** A full disk has a code of its own, whoever met it: a file or the database. */
function describeFull(error: unknown): unknown {
  return sqlState(error) === '53100' ? objectErrors.FH_STORAGE_FULL({ cause: error }) : toStorageError(error);
}

function createContext(runner: RunnerDeps, flow: Flow, operation: OperationRecord): StepContext {
  const { db, log } = runner.deps;
  const isLazy = flow.isInWal?.(operation.input as never) === true;
  const { operationId, tenantId } = operation;
  let memo: Facts = operation.memo;
  return {
    operation,
    tenantId,
    get memo() {
      return memo;
    },
    log: log.child({ operationId, tenantId }),
    signal: runner.signal,
    async tenant() {
      const tenant = await inBooks(() => findTenant(db, tenantId));
      if (!tenant) throw new Error('the tenant of the operation is not in the registry');
      return tenant;
    },
    async remember(facts, tx = db) {
      await inBooks(() => mergeFacts(tx, operationId, facts, { isLazy }));
      memo = { ...memo, ...facts };
    },
    setResult: (result) => inBooks(() => mergeResult(db, operationId, result, { isLazy })),
    progress: (progress) => runner.onChange(operationId, progress),
  };
}

function tryStep(runner: RunnerDeps, work: () => Promise<void>): Promise<void> {
  const { attemptsPerStep = 6, maxRetryDelayMs = 5_000 } = runner.deps.settings;
  return retry(
    {
      attempts: attemptsPerStep,
      firstDelayMs: Math.min(200, maxRetryDelayMs),
      maxDelayMs: maxRetryDelayMs,
      // Steps ask the books as well, by ways of their own.
      isRetryable: (error) => mayTryAgain(error) || sqlState(error) === closedDatabase,
      signal: runner.signal,
    },
    work,
  );
}

/** The transactions that end something look first whether they already did, so an uncertain commit is simply made again. */
function retryCommit(runner: RunnerDeps, work: () => Promise<void>): Promise<void> {
  return inBooks(() => tryStep(runner, work));
}

async function inBooks<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isAway = mayTryAgain(error) || sqlState(error) === closedDatabase;
    throw isAway && !(error instanceof FreeholdError) ? new BooksAway('the books are away', { cause: error }) : error;
  }
}

function mayTryAgain(error: unknown): boolean {
  // Steps are idempotent: what may have happened is tried again like what certainly did not.
  if (error instanceof CommitUncertainError || error instanceof ConnectionLostError) return true;
  if (error instanceof FreeholdError) return error.retry === 'soon' && error.code !== 'FH_INTERNAL';
  return isRetryable(error);
}

function nowOf(runner: RunnerDeps): Date {
  return new Date(runner.deps.clock.now());
}
