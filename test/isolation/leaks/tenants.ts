// biome-ignore-all lint/suspicious/noTemplateCurlyInString: texts of the product, as they stand there
import type { PlantedLeak } from './types.ts';

const directory = 'src/tenants/directory.ts';
const deletion = 'src/tenants/flows/delete.ts';

export const tenantLeaks: readonly PlantedLeak[] = [
  {
    name: 'a name that was given up is free at once',
    threat: "a stranger takes a customer's old address, with its links and bookmarks",
    edits: [
      {
        file: 'src/tenants/names-sql.ts',
        find: "WHERE tenant_names.status = 'former' AND (tenant_names.held_until <= $3 OR tenant_names.tenant_id IN (excluded.tenant_id, $4))",
        replace:
          "WHERE tenant_names.status = 'former' AND ($3::timestamptz IS NOT NULL OR tenant_names.tenant_id = $4)",
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'a former name still answers',
    threat: 'the old address of a renamed tenant leads to it',
    edits: [
      {
        file: 'src/tenants/routes-sql.ts',
        find: "WHERE n.name = $1 AND (n.status = 'current' OR (t.state IN ('deleting', 'deleted') AND t.name = n.name))",
        replace: "WHERE n.name = $1 AND n.status <> 'claimed'",
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'gateways get access to suspended tenants',
    threat: 'passwords of a closed tenant are handed out',
    edits: [
      {
        file: directory,
        find: "const openStates: readonly TenantState[] = ['active'];",
        replace: "const openStates: readonly TenantState[] = ['active', 'suspended'];",
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'all tenants have one files key',
    threat: "one tenant's key opens every tenant's files",
    edits: [
      {
        file: directory,
        find: "keys.deriveTenantKey(tenantId, 'files'),",
        replace: "keys.deriveInstallationKey('files'),",
      },
      {
        file: 'src/main/file-services.ts',
        find: "filesKeyOf: (tenantId) => keys.deriveTenantKey(tenantId, 'files'),",
        replace: "filesKeyOf: () => (keys as KeyStore).deriveInstallationKey('files'),",
      },
    ],
    groups: ['files'],
  },
  {
    name: 'all tenants have one cookie key',
    threat: "one of the two barriers between two tenants' cookies is gone",
    edits: [
      {
        file: directory,
        find: "keys.deriveTenantKey(tenantId, 'session-cookie'),",
        replace: "keys.deriveInstallationKey('session-cookie'),",
      },
    ],
    groups: ['tokens'],
  },
  {
    name: 'keys of all purposes are one',
    threat: 'what is sealed for one purpose opens for another',
    edits: [
      {
        file: 'src/keys/store.ts',
        find: "return deriveKey(await openTenantKey(tenantId), ['tenant', tenantId, purpose]);",
        replace: "return deriveKey(await openTenantKey(tenantId), ['tenant', tenantId, purpose && 'any']);",
      },
    ],
    groups: ['barriers'],
  },
  {
    name: 'a seal does not hold its context',
    threat: 'a sealed value moved elsewhere opens',
    edits: [
      {
        file: 'src/keys/sealer.ts',
        find: "return Buffer.concat([Buffer.of(formatVersion), Buffer.from(context, 'utf8')]);",
        replace: "return Buffer.concat([Buffer.of(formatVersion), Buffer.from(context && '', 'utf8')]);",
      },
    ],
    groups: ['barriers'],
  },
  {
    name: 'deletion keeps the key',
    threat: 'what a deleted tenant left somewhere can still be read',
    edits: [
      {
        file: deletion,
        find: "return { name: 'key', run: ({ tenantId }) => deps.keys.destroyTenantKey(tenantId) };",
        replace: "return { name: 'key', run: async () => {} };",
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'deletion keeps the files',
    threat: 'files of a deleted tenant stay',
    edits: [
      {
        file: deletion,
        find: 'await deps.files.removeTenantFiles(tenantId);\n',
        replace: '\n',
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'an export takes sessions along',
    threat: 'whoever has the archive has tokens of sessions and invitations, as hashes',
    edits: [
      {
        file: 'src/portability/export.ts',
        find: '...(isWhole ? [] : unexportedTables).map(',
        replace: '...(isWhole ? [] : unexportedTables.slice(4)).map(',
      },
    ],
    groups: ['export'],
  },
];
