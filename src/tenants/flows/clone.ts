import { newId, type TenantId } from '#src/kernel/index.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { parseTenantName, parseTitle } from '../names.ts';
import { findTenant, moveTenant, setDatabaseName } from '../sql.ts';
import { inheritRecoveryPointStep } from './set.ts';
import {
  abandonNewTenant,
  beginNewTenant,
  beginOnTenant,
  dropOwnDatabase,
  type FlowDeps,
  goLive,
  hostStep,
  keyStep,
  migrationsStep,
  nowOf,
  openStep,
  requireDatabase,
  withOpenDatabase,
} from './steps.ts';

/**
 * Clone: the source is closed only while PostgreSQL copies its database, which needs it to have no sessions
 * (PostgreSQL manual, "Template Databases"). It is open again before the copy gets anything of its own.
 */
export function createCloneFlow(deps: FlowDeps): Flow<'clone'> {
  return {
    kind: 'clone',
    onFailure: 'undo',
    cancellable: true,
    steps: () => [
      keyStep(deps),
      gateStep(deps),
      copyStep(deps),
      reopenStep(deps),
      // The source may be waiting for its turn in a migration of the fleet.
      migrationsStep(deps),
      openStep(deps),
      { name: 'strip', run: ({ tenantId }) => deps.identity.stripClone(tenantId) },
      filesStep(deps),
      inheritRecoveryPointStep(deps),
      hostStep(deps),
    ],

    async begin(tx, { operationId, tenantId: sourceTenantId, input }) {
      const { tenant: source } = await beginOnTenant(tx, 'clone', { tenantId: sourceTenantId, operationId });
      const name = parseTenantName(input.newName);
      const title = input.title === undefined ? `${source.title} (copy)`.slice(0, 120) : parseTitle(input.title);
      const tenantId = newId('ten');
      // The same version, whatever is newer: it is a copy. That the source runs it keeps it from being removed.
      const { app, appVersion, adminEmail, edition, cluster, residency } = source;
      const tenant = { tenantId, name, title, app, appVersion, adminEmail, edition, cluster, residency };
      await beginNewTenant(tx, deps, tenant, operationId);
      return {
        tenantId,
        tenantName: name,
        sourceTenantId: source.tenantId,
        // The state to go back to, recorded before the gate can close.
        input: { newName: name, title, sourceName: source.name, sourceState: source.state },
      };
    },

    async finish(tx, context) {
      const { operation, tenantId } = context;
      await goLive(tx, deps, context);
      await deps.recordAudit(tx, {
        name: 'tenant.cloned',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId: sourceOf(operation),
        details: { name: operation.tenantName, source: String(operation.input.sourceName) },
      });
    },

    announce: ({ tenantId }) => deps.notifyGateways(tenantId),
    abandon: (tx, context) => abandonNewTenant(tx, deps, context),
  };
}

/** Nobody writes to the source from here on. */
function gateStep(deps: FlowDeps): Step {
  return {
    name: 'gate',
    async run({ operation }) {
      const sourceTenantId = sourceOf(operation);
      const source = await deps.db.transaction(async (tx) => {
        await moveTenant(tx, sourceTenantId, 'migrating', nowOf(deps));
        return findTenant(tx, sourceTenantId);
      });
      await deps.notifyGateways(sourceTenantId);
      await deps.appProcesses?.settle(sourceTenantId, { mustKeep: true });
      await deps.databases.closeDatabase(requireDatabase(source?.databaseName));
    },
    undo: (context) => reopenSource(deps, context),
  };
}

function copyStep(deps: FlowDeps): Step {
  return {
    name: 'database',
    async run(context) {
      if (context.memo.copied) return;
      const source = await findTenant(deps.db, sourceOf(context.operation));
      let { databaseName } = await context.tenant();
      if (!databaseName) {
        databaseName = deps.databases.newDatabaseName(source?.cluster);
        await setDatabaseName(deps.db, context.tenantId, databaseName);
      }
      await deps.databases.cloneDatabase(requireDatabase(source?.databaseName), databaseName);
      await context.remember({ copied: true });
    },
    undo: async (context) => {
      // The customer first: the half-made copy can wait.
      await reopenSource(deps, context);
      await dropOwnDatabase(deps)(context);
    },
  };
}

function reopenStep(deps: FlowDeps): Step {
  return { name: 'reopen', run: (context) => reopenSource(deps, context) };
}

async function reopenSource(deps: FlowDeps, { operation }: StepContext): Promise<void> {
  const sourceTenantId = sourceOf(operation);
  const source = await findTenant(deps.db, sourceTenantId);
  if (source?.state !== 'migrating') return;
  const before = operation.input.sourceState === 'suspended' ? 'suspended' : 'active';
  if (before === 'active') {
    await deps.databases.openDatabase(
      requireDatabase(source.databaseName),
      await deps.credentials.ensure(sourceTenantId),
    );
  }
  await deps.db.transaction((tx) => moveTenant(tx, sourceTenantId, before, nowOf(deps)));
  await deps.notifyGateways(sourceTenantId);
}

/** Content-addressed and kept for a day after its last use, so what the copied rows name is still there. */
function filesStep(deps: FlowDeps): Step {
  return {
    name: 'files',
    async run({ operation, tenantId, remember }) {
      const sourceTenantId = sourceOf(operation);
      const source = await findTenant(deps.db, sourceTenantId);
      if (!source) throw new Error('the source is gone');
      const files = await withOpenDatabase(deps, source, () => deps.files.copyTenantFiles(sourceTenantId, tenantId));
      await remember({ files });
    },
    undo: ({ tenantId }) => deps.files.removeTenantFiles(tenantId),
  };
}

function sourceOf(operation: StepContext['operation']): TenantId {
  if (!operation.sourceTenantId) throw new Error('a clone without a source');
  return operation.sourceTenantId;
}
