import { newId } from '#src/kernel/index.ts';
import type { Flow, Step, StepContext } from '../flow.ts';
import { parseEmail, parseTenantName, parseTitle } from '../names.ts';
import { mergeResult } from '../operations-sql.ts';
import {
  abandonNewTenant,
  beginNewTenant,
  beginOnTenant,
  databaseStep,
  type FlowDeps,
  goLive,
  hostStep,
  keyStep,
  migrationsStep,
  openStep,
  pinAppVersion,
  requireDatabase,
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
          const archive = await withOpenDatabase(deps, tenant, async () => {
            await deps.appProcesses?.keepFolder(tenant.tenantId);
            return deps.portability.exportArchive(tenant, fileName, context.progress);
          });
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
      loadStep(deps, () => archivePath),
      secureStep(deps),
      { name: 'upload', run: () => deps.portability.removeUpload(archivePath) },
      hostStep(deps),
    ],
    async begin(tx, { operationId, input }) {
      const name = parseTenantName(input.name);
      const title = input.title === undefined ? name : parseTitle(input.title);
      const adminEmail = input.adminEmail === undefined ? '' : parseEmail(input.adminEmail);
      const detail = `the archive belongs to ${JSON.stringify(input.app)}`;
      const appVersion = await pinAppVersion(tx, deps, input.app, { app: detail, preferred: input.appVersion });
      const tenantId = newId('ten');
      const tenant = { tenantId, name, title, adminEmail, app: input.app, appVersion, edition: 'standard' } as const;
      await beginNewTenant(tx, deps, tenant, operationId);
      return { tenantId, tenantName: name, input: { ...input, name, title, adminEmail } };
    },
    async finish(tx, context) {
      const { operation, tenantId, memo } = context;
      await goLive(tx, deps, context);
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
    announce: ({ tenantId }) => deps.notifyGateways(tenantId),
    abandon: (tx, context) => abandonNewTenant(tx, deps, context),
  };
}

/** @param archiveOf path of the archive, as recorded in the operation */
export function loadStep(deps: FlowDeps, archiveOf: (context: StepContext) => string): Step {
  return {
    name: 'load',
    async run(context) {
      if (context.memo.contentHash) return;
      if (context.memo.loading) await makeDatabaseAgain(deps, context);
      await context.remember({ loading: true });
      const { contentHash } = await deps.portability.importArchive(
        await context.tenant(),
        archiveOf(context),
        context.progress,
      );
      await context.remember({ contentHash });
    },
    async undo(context) {
      await deps.files.removeTenantFiles(context.tenantId);
      await deps.portability.removeUpload(archiveOf(context));
    },
  };
}

/** An import that was cut short may have left anything behind; the same name, a new database. */
async function makeDatabaseAgain(deps: FlowDeps, { tenantId, tenant }: StepContext): Promise<void> {
  const { app, cluster, databaseName } = await tenant();
  const name = requireDatabase(databaseName);
  await deps.databases.dropDatabase(name);
  const { template } = await deps.databases.ensureTemplate(app, cluster);
  await deps.databases.createDatabase(name, { template });
  await deps.databases.openDatabase(name, await deps.credentials.ensure(tenantId));
  await deps.notifyGateways(tenantId);
}

/**
 * The archive's statements ran as the tenant's own role, which may change its own password: nobody but us knows the next one. And they may
 * have written what an export leaves out and no checksum covers, for example an invitation whose link its author kept.
 */
export function secureStep(deps: FlowDeps): Step {
  return {
    name: 'secure',
    async run({ tenantId, tenant }) {
      const name = requireDatabase((await tenant()).databaseName);
      await deps.databases.closeDatabase(name);
      await deps.databases.openDatabase(name, await deps.credentials.rotate(tenantId));
      await deps.notifyGateways(tenantId);
      await deps.identity.stripClone(tenantId);
    },
  };
}
