import type { Flow, Step } from '../flow.ts';
import { retireNames } from '../names-sql.ts';
import { forgetTenant, moveTenant, setDatabaseName, setKeyDueAt } from '../sql.ts';
import { gatewaysStep } from './availability.ts';
import { certificateStep } from './certificate.ts';
import { removeServerStep } from './servers.ts';
import { beginOnTenant, dayMs, type FlowDeps, heldUntilOf, nowOf, requireDatabase, withOpenDatabase } from './steps.ts';
import { dropSnapshots } from './update.ts';

/**
 * Delete: the name first, so that nobody comes in while things go; the key last of what is destroyed, because it makes
 * unreadable whatever a crash might have left. A step that fails stays visible and can be tried again; it is never taken back.
 * With backups the key is kept for a grace period (decision 0017): until `destroy` ends it, the tenant can be restored.
 */
export function createDeleteFlow(deps: FlowDeps): Flow<'delete'> {
  return {
    kind: 'delete',
    onFailure: 'keep',
    cancellable: false,
    steps: ({ keyDueAt }) => [
      {
        name: 'host',
        run: ({ tenantId }) => deps.db.transaction((tx) => retireNames(tx, tenantId, heldUntilOf(deps))),
      },
      inventoryStep(deps),
      gatewaysStep(deps),
      {
        name: 'sessions',
        run: async ({ tenantId, tenant }) => {
          const { databaseName } = await tenant();
          await deps.appProcesses?.settle(tenantId, { mustKeep: false });
          if (databaseName) await deps.databases.closeDatabase(databaseName);
        },
      },
      // Nothing is destroyed before a region has what a restore will need.
      ...(keyDueAt
        ? [{ name: 'copies', run: async ({ tenantId }) => deps.restores?.keepFiles(tenantId) } as Step]
        : []),
      databaseStep(deps),
      {
        name: 'files',
        run: async ({ tenantId }) => {
          await deps.files.removeTenantFiles(tenantId);
          await deps.appProcesses?.remove(tenantId);
        },
      },
      exportsStep(deps),
      ...(keyDueAt ? [] : [destroyKeyStep(deps), removeServerStep(deps)]),
      certificateStep(deps),
    ],

    async begin(tx, request) {
      const { tenantId, tenant } = await beginOnTenant(tx, 'delete', request);
      await moveTenant(tx, tenantId, 'deleting', nowOf(deps));
      const keyDueAt = request.input.now ? undefined : keyDueAtOf(deps);
      const input = { title: tenant.title, stateBefore: tenant.state, ...(keyDueAt && { keyDueAt }) };
      return { tenantId, tenantName: tenant.name, input };
    },

    async finish(tx, { operation, tenantId, memo }) {
      const { keyDueAt } = operation.input as { keyDueAt?: string };
      await forgetTenant(tx, tenantId);
      if (keyDueAt) await setKeyDueAt(tx, tenantId, new Date(keyDueAt));
      await moveTenant(tx, tenantId, 'deleted', nowOf(deps));
      await deps.recordAudit(tx, {
        name: 'tenant.deleted',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: {
          name: operation.tenantName,
          certificateId: memo.certificateId ?? null,
          ...(keyDueAt && { keyDueAt }),
        },
      });
    },

    abandon: async () => {},
  };
}

/** Where no backups are kept there is nothing that the key could open. */
export function graceDaysOf({ restores, settings }: Pick<FlowDeps, 'restores' | 'settings'>): number {
  return restores ? (settings.deletionGraceDays ?? 7) : 0;
}

/** Undefined: at once. */
function keyDueAtOf(deps: FlowDeps): string | undefined {
  const graceDays = graceDaysOf(deps);
  if (graceDays === 0) return undefined;
  return new Date(deps.clock.now() + graceDays * dayMs).toISOString();
}

export function destroyKeyStep(deps: FlowDeps): Step {
  return { name: 'key', run: ({ tenantId }) => deps.keys.destroyTenantKey(tenantId) };
}

/** What is about to be destroyed, while it can still be read. */
function inventoryStep(deps: FlowDeps): Step {
  return {
    name: 'inventory',
    async run({ operation, tenant, memo, remember }) {
      if (memo.contentHash !== undefined) return;
      const found = await tenant();
      const databaseBytes = await deps.databases.databaseSize(requireDatabase(found.databaseName));
      // As it was before deletion began: a suspended one is closed and must be opened for control.
      const state = operation.input.stateBefore === 'suspended' ? 'suspended' : found.state;
      const counted = await withOpenDatabase(deps, { ...found, state }, () => deps.portability.inventory(found));
      await remember({ databaseBytes, ...counted });
    },
  };
}

function databaseStep(deps: FlowDeps): Step {
  return {
    name: 'database',
    async run({ tenantId, tenant }) {
      const { databaseName } = await tenant();
      await dropSnapshots(deps, tenantId);
      if (!databaseName) return;
      await deps.databases.dropDatabase(databaseName);
      await setDatabaseName(deps.db, tenantId, null);
    },
  };
}

function exportsStep(deps: FlowDeps): Step {
  return {
    name: 'exports',
    async run({ tenantId, memo, remember }) {
      const { files, bytes } = await deps.portability.removeExports(tenantId);
      await remember({
        exports: Number(memo.exports ?? 0) + files,
        exportBytes: Number(memo.exportBytes ?? 0) + bytes,
      });
    },
  };
}
