import { newId } from '#src/kernel/index.ts';
import { createDocumentSigner } from '#src/keys/index.ts';
import type { Flow, Step } from '../flow.ts';
import { insertCertificate } from '../operations-sql.ts';
import { forgetTenant, moveTenant, retireNames, setDatabaseName } from '../sql.ts';
import { gatewaysStep } from './availability.ts';
import { beginOnTenant, type FlowDeps, heldUntilOf, nowOf, requireDatabase, withOpenDatabase } from './steps.ts';

/**
 * Delete: the name first, so that nobody comes in while things go; the key last of what is destroyed, because it makes
 * unreadable whatever a crash might have left. A step that fails stays visible and can be tried again; there is no way back.
 */
export function createDeleteFlow(deps: FlowDeps): Flow<'delete'> {
  return {
    kind: 'delete',
    onFailure: 'keep',
    cancellable: false,
    steps: () => [
      {
        name: 'host',
        run: ({ tenantId }) => deps.db.transaction((tx) => retireNames(tx, tenantId, heldUntilOf(deps))),
      },
      inventoryStep(deps),
      gatewaysStep(deps),
      {
        name: 'sessions',
        run: async ({ tenant }) => {
          const { databaseName } = await tenant();
          if (databaseName) await deps.databases.closeDatabase(databaseName);
        },
      },
      databaseStep(deps),
      { name: 'files', run: ({ tenantId }) => deps.files.removeTenantFiles(tenantId) },
      exportsStep(deps),
      { name: 'key', run: ({ tenantId }) => deps.keys.destroyTenantKey(tenantId) },
      certificateStep(deps),
    ],

    async begin(tx, request) {
      const { tenantId, tenant } = await beginOnTenant(tx, 'delete', request);
      await moveTenant(tx, tenantId, 'deleting', nowOf(deps));
      return { tenantId, tenantName: tenant.name, input: { title: tenant.title, stateBefore: tenant.state } };
    },

    async finish(tx, { operation, tenantId, memo }) {
      await forgetTenant(tx, tenantId);
      await moveTenant(tx, tenantId, 'deleted', nowOf(deps));
      await deps.recordAudit(tx, {
        name: 'tenant.deleted',
        actor: operation.requestedBy,
        subject: tenantId,
        tenantId,
        details: { name: operation.tenantName, certificateId: memo.certificateId ?? null },
      });
    },

    abandon: async () => {},
  };
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

/** Says what was destroyed and what expires when, signed with the installation's key. */
function certificateStep(deps: FlowDeps): Step {
  return {
    name: 'certificate',
    async run({ operation, tenantId, memo, remember, setResult }) {
      const certificateId = typeof memo.certificateId === 'string' ? memo.certificateId : newId('crt');
      await remember({ certificateId });
      const signer = createDocumentSigner(await deps.keys.deriveInstallationKey('document-signing'));
      const issuedAt = nowOf(deps);
      const count = (name: string) => Number(memo[name] ?? 0);
      const document = signer.signDocument({
        type: 'freehold.deletion-certificate',
        version: 1,
        certificateId,
        issuedAt: issuedAt.toISOString(),
        tenant: { tenantId, name: operation.tenantName, title: String(operation.input.title) },
        requestedBy: operation.requestedBy,
        requestedAt: operation.startedAt.toISOString(),
        destroyed: {
          database: {
            bytes: count('databaseBytes'),
            tables: count('tables'),
            rows: count('rows'),
            contentSha256: String(memo.contentHash ?? ''),
          },
          files: { count: count('files'), bytes: count('fileBytes') },
          exports: { count: count('exports'), bytes: count('exportBytes') },
          key: { destroyed: !(await deps.keys.hasTenantKey(tenantId)) },
        },
        kept: [
          { what: 'host name, so that nobody inherits it', until: heldUntilOf(deps).toISOString() },
          { what: 'records of operations and security events, without personal data of users', until: 'unlimited' },
        ],
        expires: [
          {
            what: "write-ahead log of the database server that is not yet recycled, on the server's own disk",
            when: 'after the next checkpoints',
          },
        ],
        backups: 'This installation keeps no backups.',
      });
      await insertCertificate(deps.db, {
        certificateId,
        tenantId,
        tenantName: operation.tenantName,
        issuedAt,
        document,
        publicKeyPem: signer.publicKeyPem,
      });
      await setResult({ certificateId });
    },
  };
}
