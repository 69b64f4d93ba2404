import { newId, type OperationId } from '#src/kernel/index.ts';
import { keyErrors } from '#src/keys/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { tenantErrors } from '../errors.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { parseMoment } from '../moments.ts';
import { parseTenantName, parseTitle } from '../names.ts';
import { findCertificate, mergeResult } from '../operations-sql.ts';
import { findHeldName, findTenant, holdName } from '../sql.ts';
import { assertAllowed } from '../transitions.ts';
import type { Tenant } from '../types.ts';
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
 * A deleted tenant can be restored while its key is kept; the new one is the heir of its name.
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
      if (!(await deps.keys.hasTenantKey(source.tenantId)))
        throw keyErrors.FH_KEY_DESTROYED({ detail: `${source.name} (${source.tenantId}) was deleted for good` });
      const isDeleted = source.state === 'deleted';
      const ownName = isDeleted && (await findHeldName(tx, source.name, source.tenantId));
      const name = parseTenantName(input.newName ?? (ownName ? source.name : `${source.name}-restored`));
      const heldUntil = isDeleted ? await findHeldName(tx, name, source.tenantId) : undefined;
      const formerTitle = isDeleted ? await findTitle(tx, source) : source.title;
      const given = heldUntil ? formerTitle : `${formerTitle} (restored)`.slice(0, 120);
      const title = input.title === undefined ? given : parseTitle(input.title);
      const tenantId = newId('ten');
      const { app, adminEmail, edition } = source;
      const heirOf = heldUntil && source.tenantId;
      await beginNewTenant(tx, deps, { tenantId, name, title, app, adminEmail, edition }, operationId, heirOf);
      return {
        tenantId,
        tenantName: name,
        sourceTenantId: source.tenantId,
        input: {
          newName: name,
          title,
          moment,
          sourceName: source.name,
          ...(heldUntil && { inheritedUntil: heldUntil.toISOString() }),
        },
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
    async abandon(tx, context) {
      await abandonNewTenant(tx, deps, context);
      const { newName, inheritedUntil } = context.operation.input as { newName: string; inheritedUntil?: string };
      if (inheritedUntil) await holdName(tx, newName, context.operation.sourceTenantId!, new Date(inheritedUntil));
    },
  };
}

/** A deleted tenant's title is forgotten, but for the certificate. */
async function findTitle(tx: Queryable, { tenantId, title }: Tenant): Promise<string> {
  const document = (await findCertificate(tx, tenantId))?.document as { tenant?: { title?: string } } | undefined;
  return document?.tenant?.title ?? title;
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
