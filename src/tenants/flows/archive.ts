import { newId } from '#src/kernel/index.ts';
import { tenantErrors } from '../errors.ts';
import type { Flow, Step } from '../flow.ts';
import { parseEmail, parseTenantName, parseTitle } from '../names.ts';
import { mergeResult } from '../operations-sql.ts';
import {
  abandonNewTenant,
  beginNewTenant,
  beginOnTenant,
  databaseStep,
  type FlowDeps,
  hostStep,
  keyStep,
  migrationsStep,
  openStep,
  withOpenDatabase,
} from './steps.ts';

const hourMs = 60 * 60 * 1_000;

/** Export: the tenant stays open; the archive is written from one snapshot and is whole or not there. */
export function createExportFlow(deps: FlowDeps): Flow<'export'> {
  return {
    kind: 'export',
    onFailure: 'keep',
    cancellable: true,
    steps: () => [
      {
        name: 'archive',
        async run(context) {
          const tenant = await context.tenant();
          const fileName = `${context.operation.operationId}.tar`;
          const archive = await withOpenDatabase(deps, tenant, () =>
            deps.portability.exportArchive(tenant, fileName, context.progress),
          );
          const expiresAt = new Date(deps.clock.now() + (deps.settings.exportHours ?? 24) * hourMs).toISOString();
          await context.remember({ sha256: archive.sha256 });
          await context.setResult({ fileName, ...archive, expiresAt });
        },
        undo: ({ tenantId }) => deps.portability.removeExports(tenantId).then(() => {}),
      },
    ],
    async begin(tx, request) {
      const { tenantId, tenant } = await beginOnTenant(tx, 'export', request);
      return { tenantId, tenantName: tenant.name, input: {} };
    },
    async finish(tx, { operation, tenantId, memo }) {
      await deps.recordAudit(tx, {
        name: 'tenant.exported',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { name: operation.tenantName, sha256: memo.sha256 ?? null },
      });
    },
    abandon: async () => {},
  };
}

/** Import: a tenant is born as by `create`, with the archive's rows in place of an invitation: its users sign in as before. */
export function createImportFlow(deps: FlowDeps): Flow<'import'> {
  return {
    kind: 'import',
    onFailure: 'undo',
    cancellable: true,
    steps: ({ archivePath }) => [
      keyStep(deps),
      databaseStep(deps),
      openStep(deps),
      migrationsStep(deps),
      loadStep(deps, archivePath),
      hostStep(deps),
    ],
    async begin(tx, { operationId, input }) {
      const name = parseTenantName(input.name);
      const title = input.title === undefined ? name : parseTitle(input.title);
      const adminEmail = input.adminEmail === undefined ? '' : parseEmail(input.adminEmail);
      if (!deps.settings.apps.includes(input.app)) {
        throw tenantErrors.FH_TENANT_APP_UNKNOWN({ detail: `the archive belongs to ${JSON.stringify(input.app)}` });
      }
      const tenantId = newId('ten');
      const tenant = { tenantId, name, title, adminEmail, app: input.app, edition: 'standard' } as const;
      await beginNewTenant(tx, deps, tenant, operationId);
      return { tenantId, tenantName: name, input: { ...input, name, title, adminEmail } };
    },
    async finish(tx, { operation, tenantId, memo }) {
      const { createdFrom, app } = operation.input as { createdFrom: string; app: string };
      const contentHash = String(memo.contentHash);
      await mergeResult(tx, operation.operationId, { contentHash });
      await deps.recordAudit(tx, {
        name: 'tenant.imported',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { name: operation.tenantName, app, createdFrom, contentHash },
      });
    },
    abandon: (tx, context) => abandonNewTenant(tx, deps, context),
  };
}

function loadStep(deps: FlowDeps, archivePath: string): Step {
  return {
    name: 'load',
    async run(context) {
      if (context.memo.contentHash) return;
      const { contentHash } = await deps.portability.importArchive(
        await context.tenant(),
        archivePath,
        context.progress,
      );
      // Recorded before the upload goes: a crash in between must not ask for an archive that is gone.
      await context.remember({ contentHash });
      await deps.portability.removeUpload(archivePath);
    },
    async undo({ tenantId }) {
      await deps.files.removeTenantFiles(tenantId);
      await deps.portability.removeUpload(archivePath);
    },
  };
}
