import type { Queryable } from '#src/postgres/index.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { moveTenant } from '../sql.ts';
import { beginOnTenant, type FlowDeps, migrationsStep, nowOf, requireDatabase } from './steps.ts';

/** Suspend: the state first, so that no gateway takes new requests; then gateways let go; then PostgreSQL lets nobody in. */
export function createSuspendFlow(deps: FlowDeps): Flow<'suspend'> {
  return {
    kind: 'suspend',
    onFailure: 'keep',
    cancellable: true,
    steps: () => [gatewaysStep(deps), closeStep(deps)],
    async begin(tx, request) {
      const { tenantId, tenant } = await beginOnTenant(tx, 'suspend', request);
      await moveTenant(tx, tenantId, 'suspended', nowOf(deps));
      return { tenantId, tenantName: tenant.name, input: { reason: request.input.reason?.slice(0, 500) } };
    },
    finish: (tx, context) => recordState(tx, deps, context, 'tenant.suspended'),
    abandon: (tx, { tenantId }) => moveTenant(tx, tenantId, 'active', nowOf(deps)),
  };
}

export function createResumeFlow(deps: FlowDeps): Flow<'resume'> {
  return {
    kind: 'resume',
    onFailure: 'keep',
    cancellable: true,
    steps: () => [
      // The fleet passes over suspended tenants: what it missed is made up for before anybody comes in.
      migrationsStep(deps),
      {
        name: 'database',
        run: ({ tenantId, tenant }) => openTenant(deps, tenantId, tenant),
        undo: async ({ tenant }) => deps.databases.closeDatabase(requireDatabase((await tenant()).databaseName)),
      },
      {
        name: 'state',
        run: ({ tenantId }) => deps.db.transaction((tx) => moveTenant(tx, tenantId, 'active', nowOf(deps))),
        undo: ({ tenantId }) => deps.db.transaction((tx) => moveTenant(tx, tenantId, 'suspended', nowOf(deps))),
      },
      gatewaysStep(deps),
    ],
    async begin(tx, request) {
      const { tenantId, tenant } = await beginOnTenant(tx, 'resume', request);
      return { tenantId, tenantName: tenant.name, input: {} };
    },
    finish: (tx, context) => recordState(tx, deps, context, 'tenant.resumed'),
    abandon: async () => {},
  };
}

/** Every gateway has dropped what it knew of the tenant when this returns. */
export function gatewaysStep(deps: FlowDeps): Step {
  const notify = ({ tenantId }: StepContext) => deps.notifyGateways(tenantId);
  return { name: 'gateways', run: notify, undo: notify };
}

/** NOLOGIN and no connection left: holds even against a gateway that is stuck. */
export function closeStep(deps: FlowDeps): Step {
  return {
    name: 'database',
    async run({ tenantId, tenant }) {
      await deps.appProcesses?.settle(tenantId, { mustKeep: false });
      await deps.databases.closeDatabase(requireDatabase((await tenant()).databaseName));
    },
    undo: ({ tenantId, tenant }) => openTenant(deps, tenantId, tenant),
  };
}

async function openTenant(
  deps: FlowDeps,
  tenantId: StepContext['tenantId'],
  tenant: StepContext['tenant'],
): Promise<void> {
  const { databaseName } = await tenant();
  await deps.databases.openDatabase(requireDatabase(databaseName), await deps.credentials.ensure(tenantId));
}

async function recordState(
  tx: Queryable,
  deps: FlowDeps,
  { operation, tenantId }: StepContext,
  name: 'tenant.suspended' | 'tenant.resumed',
): Promise<void> {
  const { reason } = operation.input as { reason?: string };
  await deps.recordAudit(tx, {
    name,
    actor: operation.requestedBy,
    subject: tenantId,
    tenantId,
    details: { name: operation.tenantName, ...(reason ? { reason } : {}) },
  });
}
