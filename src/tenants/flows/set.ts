import { tenantErrors } from '../errors.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { findTenant, setRecoveryPoint } from '../sql.ts';
import type { RecoveryPoint } from '../types.ts';
import { gatewaysStep } from './availability.ts';
import { beginOnTenant, type FlowDeps, requireDatabase } from './steps.ts';

/**
 * Set: how much of the tenant's work may be lost. PostgreSQL keeps it with the database, so it holds for every session that is opened afterwards, at a new
 * primary as well; sessions from before are ended. The registry never says more than what holds: `zero` is written last, `second` first.
 */
export function createSetFlow(deps: FlowDeps): Flow<'set'> {
  return {
    kind: 'set',
    onFailure: 'keep',
    cancellable: true,
    steps: () => [databaseStep(deps), gatewaysStep(deps), sessionsStep(deps)],
    async begin(tx, request) {
      const { recoveryPoint } = request.input;
      const { tenantId, tenant } = await beginOnTenant(tx, 'set', request);
      if (recoveryPoint === 'zero' && !deps.recoveryPoints) throw tenantErrors.FH_RECOVERY_POINT_UNAVAILABLE();
      if (recoveryPoint === 'second') await setRecoveryPoint(tx, tenantId, 'second');
      const input: Change = { recoveryPoint, before: tenant.recoveryPoint };
      return { tenantId, tenantName: tenant.name, input };
    },
    async finish(tx, { operation, tenantId }) {
      const { recoveryPoint, before } = changeOf(operation);
      await setRecoveryPoint(tx, tenantId, recoveryPoint);
      await deps.recordAudit(tx, {
        name: 'tenant.recovery_point_changed',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { name: operation.tenantName, from: before, to: recoveryPoint },
      });
    },
    abandon: (tx, { operation, tenantId }) => setRecoveryPoint(tx, tenantId, changeOf(operation).before),
  };
}

interface Change {
  readonly recoveryPoint: RecoveryPoint;
  readonly before: RecoveryPoint;
}

function changeOf(operation: StepContext['operation']): Change {
  return operation.input as unknown as Change;
}

function databaseStep(deps: FlowDeps): Step {
  const apply = async ({ tenant, remember }: StepContext, point: RecoveryPoint) => {
    const changedAt = await deps.recoveryPoints?.set(requireDatabase((await tenant()).databaseName), point);
    if (changedAt) await remember({ changedAt: changedAt.toISOString() });
  };
  return {
    name: 'database',
    run: (context) => apply(context, changeOf(context.operation).recoveryPoint),
    undo: (context) => apply(context, changeOf(context.operation).before),
  };
}

/** A gateway that is stuck may hold a session from before; undone without it, since the gateways have let go by then. */
function sessionsStep(deps: FlowDeps): Step {
  return {
    name: 'earlier-sessions',
    async run({ tenant, memo }) {
      if (memo.changedAt === undefined) return;
      const { databaseName } = await tenant();
      await deps.recoveryPoints?.endSessions(requireDatabase(databaseName), new Date(String(memo.changedAt)));
    },
  };
}

/** A copy is kept as its source is; after everything was loaded, so that a restore waits for no region. */
export function inheritRecoveryPointStep(deps: FlowDeps): Step {
  return {
    name: 'recovery-point',
    async run({ operation, tenantId, tenant }) {
      const source = operation.sourceTenantId && (await findTenant(deps.db, operation.sourceTenantId));
      if (!source || source.recoveryPoint === 'second' || !deps.recoveryPoints) return;
      await deps.recoveryPoints.set(requireDatabase((await tenant()).databaseName), source.recoveryPoint);
      await setRecoveryPoint(deps.db, tenantId, source.recoveryPoint);
    },
  };
}
