import { FreeholdError, newId, type OperationId } from '#src/kernel/index.ts';
import { keyErrors } from '#src/keys/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { tenantErrors } from '../errors.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { parseMoment } from '../moments.ts';
import { parseTenantName, parseTitle } from '../names.ts';
import { findHeldName, holdName, swapNames } from '../names-sql.ts';
import { findCertificate, lockTenants, mergeResult } from '../operations-sql.ts';
import { findTenant, isKeyGoing, lockTenant } from '../sql.ts';
import { assertAllowed } from '../transitions.ts';
import type { Tenant } from '../types.ts';
import { loadStep, secureStep } from './archive.ts';
import { inheritRecoveryPointStep } from './set.ts';
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
  pinAppVersion,
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
      inheritRecoveryPointStep(deps),
      hostStep(deps),
    ],

    async begin(tx, { operationId, tenantId: sourceTenantId, input }) {
      if (!sourceTenantId) throw tenantErrors.FH_TENANT_NOT_FOUND();
      // Under the lock that a destruction of its key takes to begin: one of the two comes first, and the other sees it.
      await lockTenant(tx, sourceTenantId);
      const source = (await findTenant(tx, sourceTenantId))!;
      assertAllowed('restore', source.state);
      const { inPlace = false } = input;
      if (inPlace) assertAllowed('swap', source.state);
      if (!deps.restores) throw tenantErrors.FH_RESTORE_UNAVAILABLE();
      const moment = parseMoment(input.moment, deps.clock.now());
      if ((await isKeyGoing(tx, source.tenantId)) || !(await deps.keys.hasTenantKey(source.tenantId)))
        throw keyErrors.FH_KEY_DESTROYED({ detail: `${source.name} (${source.tenantId}) was deleted for good` });
      const isDeleted = source.state === 'deleted';
      const ownName = isDeleted && (await findHeldName(tx, source.name, source.tenantId));
      const madeName = `${source.name}-${inPlace ? 'before' : 'restored'}`;
      const name = parseTenantName(input.newName ?? (ownName ? source.name : madeName));
      const heldUntil = isDeleted ? await findHeldName(tx, name, source.tenantId) : undefined;
      const formerTitle = isDeleted ? await findTitle(tx, source) : source.title;
      const given = heldUntil || inPlace ? formerTitle : `${formerTitle} (restored)`.slice(0, 120);
      const title = input.title === undefined ? given : parseTitle(input.title);
      const tenantId = newId('ten');
      const { app, adminEmail, edition, cluster, residency } = source;
      const appVersion = await pinAppVersion(tx, deps, app, {
        app: `${source.name} runs ${JSON.stringify(app)}`,
        preferred: source.appVersion,
      });
      const heirOf = heldUntil && source.tenantId;
      const tenant = { tenantId, name, title, app, appVersion, adminEmail, edition, cluster, residency };
      await beginNewTenant(tx, deps, tenant, operationId, heirOf);
      return {
        tenantId,
        tenantName: name,
        sourceTenantId: source.tenantId,
        input: {
          newName: name,
          title,
          moment,
          sourceName: source.name,
          ...(inPlace && { inPlace }),
          ...(heldUntil && { inheritedUntil: heldUntil.toISOString() }),
        },
      };
    },

    async finish(tx, context) {
      const { operation, tenantId, memo } = context;
      await goLive(tx, deps, context);
      const reached = { contentHash: String(memo.contentHash), lastCommitAt: String(memo.lastCommitAt ?? '') };
      const place = operation.input.inPlace ? await takePlace(tx, deps, context) : {};
      await mergeResult(tx, operation.operationId, { ...reached, ...place });
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

    async announce({ tenantId, operation: { input, sourceTenantId } }) {
      await Promise.all([tenantId, ...(input.inPlace ? [sourceTenantId!] : [])].map((id) => deps.notifyGateways(id)));
    },
    async abandon(tx, context) {
      await abandonNewTenant(tx, deps, context);
      const { newName, inheritedUntil } = context.operation.input as { newName: string; inheritedUntil?: string };
      if (inheritedUntil) await holdName(tx, newName, context.operation.sourceTenantId!, new Date(inheritedUntil));
    },
  };
}

/**
 * The restored tenant takes the name of the old one, in the transaction in which it goes live. When the old one is busy with something else or gone by then,
 * nothing is exchanged: the new one stands beside it, and the result says why.
 */
async function takePlace(
  tx: Queryable,
  deps: FlowDeps,
  { operation, tenantId }: StepContext,
): Promise<Readonly<Record<string, string>>> {
  const { operationId, tenantName, requestedBy } = operation;
  const sourceTenantId = operation.sourceTenantId!;
  // It may have been renamed meanwhile.
  let name: string;
  try {
    await lockTenants(tx, [sourceTenantId], operationId);
    const source = await lockTenant(tx, sourceTenantId);
    assertAllowed('swap', source.state);
    name = source.name;
  } catch (error) {
    if (!(error instanceof FreeholdError)) throw error;
    return { notInPlace: error.message };
  }
  await swapNames(tx, { tenantId, name }, { tenantId: sourceTenantId, name: tenantName });
  await deps.recordAudit(tx, {
    name: 'tenant.swapped',
    actor: requestedBy,
    subject: tenantId,
    tenantId,
    details: { from: tenantName, to: name, other: sourceTenantId },
  });
  return { url: deps.settings.tenantUrl(name), keptName: tenantName, keptTenantId: sourceTenantId };
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
      if (operation.input.inPlace) await context.setResult({ inPlaceOf: String(operation.input.sourceName) });
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
