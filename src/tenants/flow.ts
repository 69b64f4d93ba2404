import type { Log, OperationId, TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { Facts, OperationRecord } from './operations-sql.ts';
import type { WantedResidency } from './residency.ts';
import type { Edition, OperationKind, OperationProgress, RecoveryPoint, RestoreMoment, Tenant } from './types.ts';

/** What each operation is asked to do. Checked and normalised before it is recorded. */
export interface OperationInputs {
  create: {
    name: string;
    title?: string;
    adminEmail: string;
    app?: string;
    edition?: Edition;
    demoVariant?: number;
    residency?: WantedResidency;
  };
  suspend: { reason?: string };
  resume: Record<never, never>;
  rename: { newName: string };
  swap: { otherTenantId: TenantId };
  set: { recoveryPoint: RecoveryPoint };
  /**
   * Gives the tenant another version of its app, with a snapshot to go back to. `snapshot`: its database as it is there takes the place of the present one,
   * which is kept instead. `onBehalfOf`: the release.
   */
  update: { version: string; snapshot?: string; onBehalfOf?: string };
  /** `undo`: back to where its last move came from, as long as that is not confirmed. */
  move: { edition?: Edition; undo?: boolean };
  clone: { newName: string; title?: string };
  export: Record<never, never>;
  import: {
    name: string;
    archivePath: string;
    title?: string;
    adminEmail?: string;
    app: string;
    appVersion?: string;
    createdFrom: string;
  };
  /**
   * `newName`: default the name of a deleted tenant, if it is still held for it, otherwise NAME-restored. `inPlace`: the two exchange their names when the
   * restored one goes live, and `newName` (default NAME-before) is what the old one is kept as.
   */
  restore: { newName?: string; title?: string; moment: RestoreMoment; inPlace?: boolean };
  /** `now`: the key as well, instead of after the grace period. `keyDueAt` is what was decided, in what is recorded. */
  delete: { now?: boolean; keyDueAt?: string };
  /** `whenDue`: because its time is over, which waits for a restore that reads with the key. A person who says so does not. */
  destroy: { whenDue?: boolean };
}

/** What a step works with. */
export interface StepContext {
  readonly operation: OperationRecord;
  readonly tenantId: TenantId;
  /** Facts of earlier steps, this run's included. */
  readonly memo: Facts;
  readonly log: Log;
  readonly signal: AbortSignal;
  tenant(): Promise<Tenant>;
  /** Keeps facts before the step acts on them, so that the next start knows what may have been made. */
  remember(facts: Facts, db?: Queryable): Promise<void>;
  setResult(result: Record<string, string | number>): Promise<void>;
  progress(progress: OperationProgress): void;
}

/** One idempotent piece of an operation: running it again after a crash completes it. */
export interface Step {
  readonly name: string;
  /** It needs nothing of the step before it, and may run at the same time. */
  readonly isBeside?: true;
  run(context: StepContext): Promise<void>;
  /** Takes it back, also when it was only half done. */
  undo?(context: StepContext): Promise<void>;
}

/** What the first transaction of an operation decides. */
export interface Beginning {
  readonly tenantId: TenantId;
  readonly tenantName: string;
  readonly sourceTenantId?: TenantId;
  /** Normalised input, as it is recorded. */
  readonly input: object;
}

export interface Flow<K extends OperationKind = OperationKind> {
  readonly kind: K;
  /** `undo`: what it began is taken back when a step fails for good. `keep`: it stays visible, to be tried again or cancelled. */
  readonly onFailure: 'undo' | 'keep';
  /** Whether a failed operation may be taken back by hand. */
  readonly cancellable: boolean;
  /**
   * All that its steps do behind the first ones is in the WAL of the server that also holds the books. What is behind in one WAL is never there without
   * what is before it, so how far the operation came need not be on the disk before the next step begins.
   */
  isInWal?(input: OperationInputs[K]): boolean;
  steps(input: OperationInputs[K]): readonly Step[];
  /** Checks, locks and changes state; in the transaction that records the operation. */
  begin(
    tx: Queryable,
    request: { operationId: OperationId; tenantId: TenantId | undefined; input: OperationInputs[K]; actor: string },
  ): Promise<Beginning>;
  /** The last transaction of a success: final state and audit event. */
  finish(tx: Queryable, context: StepContext): Promise<void>;
  /** After that transaction, for those who need not be waited for: a failure is logged and changes nothing. */
  announce?(context: StepContext): Promise<void>;
  /** The last transaction after everything was taken back. */
  abandon(tx: Queryable, context: StepContext): Promise<void>;
}

/** Makes the types of one flow's input disappear, for the table of all flows. */
export function asFlow<K extends OperationKind>(flow: Flow<K>): Flow {
  return flow as unknown as Flow;
}
