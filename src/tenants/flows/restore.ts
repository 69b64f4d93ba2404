import { newId, type OperationId } from '#src/kernel/index.ts';
import { tenantErrors } from '../errors.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { parseMoment } from '../moments.ts';
import { parseTenantName, parseTitle } from '../names.ts';
import { mergeResult } from '../operations-sql.ts';
import { findTenant } from '../sql.ts';
import { assertAllowed } from '../transitions.ts';
import { loadStep, secureStep } from './archive.ts';
import {
  abandonNewTenant,
  beginNewTenant,
  databaseStep,
  type FlowDeps,
  goLive,
  hostStep,
  keyStep,
  migrationsStep,
  openStep,
} from './steps.ts';

/**
 * Restore: a new tenant beside the old one, with the content of an earlier moment. The old one is neither touched nor held up. What a scratch server gave
 * travels as an archive, so the second half is an import: rows only, our own structure, the same content hash, sessions and invitations stripped.
 */
export function createRestoreFlow(deps: FlowDeps): Flow<'restore'> {
  return {
    kind: 'restore',
    onFailure: 'undo',
    cancellable: true,
    steps: () => [
      // First what takes long and needs nothing: when the moment cannot be reached, nothing was made.
      recoverStep(deps),
      keyStep(deps),
      databaseStep(deps),
      openStep(deps),
      migrationsStep(deps),
      loadStep(deps, archiveOf),
      secureStep(deps),
      { name: 'upload', run: ({ operation }) => removeArchive(deps, operation.operationId) },
      hostStep(deps),
    ],

    async begin(tx, { operationId, tenantId: sourceTenantId, input }) {
      const source = sourceTenantId && (await findTenant(tx, sourceTenantId));
      if (!source) throw tenantErrors.FH_TENANT_NOT_FOUND();
      assertAllowed('restore', source.state);
      if (!deps.restores) throw tenantErrors.FH_RESTORE_UNAVAILABLE();
      const moment = parseMoment(input.moment, deps.clock.now());
      const name = parseTenantName(input.newName);
      const title = input.title === undefined ? `${source.title} (restored)`.slice(0, 120) : parseTitle(input.title);
      const tenantId = newId('ten');
      const { app, adminEmail, edition } = source;
      await beginNewTenant(tx, deps, { tenantId, name, title, app, adminEmail, edition }, operationId);
      return {
        tenantId,
        tenantName: name,
        sourceTenantId: source.tenantId,
        input: { newName: name, title, moment, sourceName: source.name },
      };
    },

    async finish(tx, context) {
      const { operation, tenantId, memo } = context;
      await goLive(tx, deps, context);
      const reached = { contentHash: String(memo.contentHash), lastCommitAt: String(memo.lastCommitAt ?? '') };
      await mergeResult(tx, operation.operationId, reached);
      await deps.recordAudit(tx, {
        name: 'tenant.restored',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId: operation.sourceTenantId!,
        details: {
          name: operation.tenantName,
          source: String(operation.input.sourceName),
          moment: JSON.stringify(operation.input.moment),
          ...reached,
        },
      });
    },

    announce: ({ tenantId }) => deps.notifyGateways(tenantId),
    abandon: (tx, context) => abandonNewTenant(tx, deps, context),
  };
}

function recoverStep(deps: FlowDeps): Step {
  return {
    name: 'recover',
    async run(context) {
      const { operation, memo, progress, signal } = context;
      if (memo.archivePath) return;
      if (!deps.restores) throw tenantErrors.FH_RESTORE_UNAVAILABLE();
      const source = await findTenant(deps.db, operation.sourceTenantId!);
      if (!source) throw tenantErrors.FH_TENANT_NOT_FOUND();
      // Checked and normalised when the operation began; times that were the past then still are.
      const moment = parseMoment(operation.input.moment, Number.POSITIVE_INFINITY);
      const request = { tenant: source, moment, operationId: operation.operationId };
      const { archivePath, lastCommitAt } = await deps.restores.recoverArchive(request, progress, signal);
      await context.remember({ archivePath, lastCommitAt: lastCommitAt?.toISOString() ?? null });
    },
    undo: ({ operation }) => removeArchive(deps, operation.operationId),
  };
}

async function removeArchive(deps: FlowDeps, operationId: OperationId): Promise<void> {
  await deps.restores?.removeArchive(operationId);
}

/** Empty when recovery did not come so far; then there is nothing to load or to take back. */
function archiveOf({ memo }: StepContext): string {
  return String(memo.archivePath ?? '');
}
