import { tenantErrors } from '../errors.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { findTenant, setRecoveryPoint } from '../sql.ts';
import type { RecoveryPoint } from '../types.ts';
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
      if (recoveryPoint === 'zero' && !deps.recoveryPoints.hasRegions)
        throw tenantErrors.FH_RECOVERY_POINT_UNAVAILABLE();
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
  return {
    name: 'database',
    async run({ operation, tenant, remember }) {
      const { databaseName } = await tenant();
      const changedAt = await deps.recoveryPoints.set(requireDatabase(databaseName), changeOf(operation).recoveryPoint);
      await remember({ changedAt: changedAt.toISOString() });
    },
    // All of it, in the order of a change: a session that was opened before this would go on as it was.
    undo: (context) => applyRecoveryPoint(deps, context, changeOf(context.operation).before),
  };
}

function gatewaysStep(deps: FlowDeps): Step {
  return { name: 'gateways', run: ({ tenantId }) => deps.notifyGateways(tenantId) };
}

/** A gateway that is stuck may hold a session from before. */
function sessionsStep(deps: FlowDeps): Step {
  return {
    name: 'earlier-sessions',
    async run({ tenant, memo }) {
      const { databaseName } = await tenant();
      await deps.recoveryPoints.endSessions(requireDatabase(databaseName), new Date(String(memo.changedAt)));
    },
  };
}

/** When it resolves, every commit in the tenant's database is made so. */
async function applyRecoveryPoint(
  deps: FlowDeps,
  { tenantId, tenant }: StepContext,
  point: RecoveryPoint,
): Promise<void> {
  const databaseName = requireDatabase((await tenant()).databaseName);
  const changedAt = await deps.recoveryPoints.set(databaseName, point);
  await deps.notifyGateways(tenantId);
  await deps.recoveryPoints.endSessions(databaseName, changedAt);
}

/** A copy is kept as its source is; after everything was loaded, so that a restore waits for no region. Control's own sessions are from before. */
export function inheritRecoveryPointStep(deps: FlowDeps): Step {
  return {
    name: 'recovery-point',
    async run(context) {
      const { operation, tenantId } = context;
      const source = operation.sourceTenantId && (await findTenant(deps.db, operation.sourceTenantId));
      if (!source || source.recoveryPoint === 'second' || !deps.recoveryPoints.hasRegions) return;
      await applyRecoveryPoint(deps, context, source.recoveryPoint);
      await setRecoveryPoint(deps.db, tenantId, source.recoveryPoint);
    },
  };
}
