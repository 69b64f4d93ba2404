// biome-ignore-all lint/suspicious/noTemplateCurlyInString: texts of the product, as they stand there
import type { PlantedLeak } from './types.ts';

const context = 'src/hosting/context.ts';
const events = 'src/hosting/events.ts';
const gatewayMain = 'src/main/gateway.ts';
const files = 'src/files/tenant-files.ts';
const headers = 'src/http/security-headers.ts';

export const hostingLeaks: readonly PlantedLeak[] = [
  {
    name: "an app's context belongs to the first tenant that had one",
    threat: "every tenant reads and writes the first one's data",
    edits: [
      {
        file: context,
        find: '    this.#tenantId = of.tenant.tenantId;\n',
        replace: '    this.#tenantId = firstTenant ??= of.tenant.tenantId;\n',
      },
      {
        file: context,
        find: 'export const defaultMaxFileBytes',
        replace: 'let firstTenant: TenantId | undefined;\nexport const defaultMaxFileBytes',
      },
      // The check of a presumed session would be asked of the first tenant as well, and would refuse.
      { file: 'src/gateway/tenant-app.ts', find: 'if (!config.mayPresume || ', replace: 'if (config || ' },
    ],
    groups: ['caches'],
  },
  {
    name: 'people are remembered without their tenant',
    threat: "names and addresses of another tenant's users are shown",
    edits: [
      {
        file: gatewayMain,
        find: "listUsers: async (tenantId) => (await identity.listUsers(tenantId)).filter((user) => user.state === 'active'),",
        replace:
          "listUsers: async (tenantId) => (people ??= (await identity.listUsers(tenantId)).filter((user) => user.state === 'active')),",
      },
      {
        file: gatewayMain,
        find: '  const parts = () => ({ identity, hosting, proxied, provider });',
        replace:
          '  let people: Awaited<ReturnType<typeof identity.listUsers>> | undefined;\n  const parts = () => ({ identity, hosting, proxied, provider });',
      },
    ],
    groups: ['caches'],
  },
  {
    name: 'the address of a tenant is remembered for all',
    threat: "pages and links lead to another tenant's host",
    edits: [
      {
        file: gatewayMain,
        find: "  const urlOf = (route: Pick<TenantRoute, 'host'>): string => gateway.urlOf(route.host);",
        replace:
          "  let firstUrl: string | undefined;\n  const urlOf = (route: Pick<TenantRoute, 'host'>): string => (firstUrl ??= gateway.urlOf(route.host));",
      },
    ],
    groups: ['caches'],
  },
  {
    name: 'events reach every listener of the worker',
    threat: 'a page hears what happens at another tenant',
    edits: [
      {
        file: events,
        find: 'for (const listener of listeners.get(tenantId) ?? []) listener.receive(event);',
        replace:
          'void tenantId;\n      for (const all of listeners.values()) for (const listener of all) listener.receive(event);',
      },
    ],
    groups: ['events'],
  },
  {
    name: 'events from other workers are told to every tenant that had some',
    threat: 'a page hears what happens at another tenant, when it happens at another worker',
    edits: [
      {
        file: gatewayMain,
        find: '  liveEvents.onRemote((tenantId, event) => hosting.deliverEvent(tenantId, event));',
        replace:
          '  const heardOf = new Set<TenantId>();\n  liveEvents.onRemote((tenantId, event) => {\n    for (const id of heardOf.add(tenantId)) hosting.deliverEvent(id, event);\n  });',
      },
    ],
    groups: ['events'],
  },
  {
    name: 'a stream outlives its session',
    threat: 'who was signed out or disabled goes on listening',
    edits: [{ file: events, find: 'if (!(await mayListen())) return stream.close();', replace: 'void mayListen;' }],
    groups: ['events'],
  },
  {
    name: 'a stream outlives its tenant',
    threat: 'listeners of a suspended tenant stay connected',
    edits: [{ file: gatewayMain, find: '  directory.onChanged((tenantId) => hosting.evict(tenantId));', replace: '' }],
    groups: ['lifecycle'],
  },
  {
    name: "an app's own door does not ask for a session",
    threat: 'a check forgotten in the gateway opens every app',
    edits: [
      {
        file: 'src/hosting/plugin.ts',
        find: "if (!session && !request.is404 && withoutSession !== 'allow') throw",
        replace: "if (!session && request.is404 && withoutSession !== 'allow') throw",
      },
    ],
    groups: ['doors'],
  },
  {
    name: "an app's own door does not ask for the role",
    threat: 'a check forgotten in the gateway opens what an app keeps for administrators',
    edits: [
      {
        file: 'src/hosting/plugin.ts',
        find: 'if (roles && !(role && roles.includes(role)))',
        replace: "if (roles && role === ('nobody' as string))",
      },
    ],
    groups: ['doors'],
  },
  {
    name: 'rows of files are remembered by their id',
    threat: "the same id at another tenant shows the first one's file",
    edits: [
      {
        file: files,
        find: '    return databases.platform.read(checkedTenant(tenantId), (db) => selectFile(db, fileId));\n',
        replace:
          '    const known = remembered.get(fileId) ?? (await databases.platform.read(checkedTenant(tenantId), (db) => selectFile(db, fileId)));\n    if (known) remembered.set(fileId, known);\n    return known;\n',
      },
      {
        file: files,
        find: '  const store = await createDiskStore(root);\n',
        replace: '  const store = await createDiskStore(root);\n  const remembered = new Map<string, StoredFile>();\n',
      },
    ],
    groups: ['files'],
  },
  {
    name: "a file's seal does not name its tenant",
    threat: "bytes moved from another tenant's folder open",
    edits: [{ file: files, find: 'return `files:${tenantId}`;', replace: 'return `files:${tenantId && 0}`;' }],
    groups: ['barriers'],
  },
  {
    name: 'files may be kept by shared caches',
    threat: 'a proxy hands a file to whoever asks next',
    edits: [
      {
        file: 'src/hosting/file-response.ts',
        find: "reply.header('cache-control', 'no-store');",
        replace: "reply.header('cache-control', 'public, max-age=3600');",
      },
    ],
    groups: ['files'],
  },
  {
    name: 'answers may be kept by shared caches',
    threat: 'a proxy hands an answer to whoever asks next',
    edits: [{ file: headers, find: "'cache-control': 'no-store',", replace: "'cache-control': 'public, max-age=60'," }],
    groups: ['caches'],
  },
  {
    name: 'every origin may read',
    threat: "any page reads a user's data with the user's cookies",
    edits: [
      {
        file: headers,
        find: "'x-frame-options': 'DENY',",
        replace: "'x-frame-options': 'DENY',\n    'access-control-allow-origin': '*',",
      },
    ],
    groups: ['caches'],
  },
  {
    name: 'pages of the same site may embed',
    threat: "one tenant's page embeds another tenant's answers, which are of the same site",
    edits: [
      {
        file: headers,
        find: "'cross-origin-resource-policy': 'same-origin',",
        replace: "'cross-origin-resource-policy': 'same-site',",
      },
    ],
    groups: ['caches'],
  },
  {
    name: 'errors tell what happened inside',
    threat: 'a refusal shows statements, names of databases and files',
    edits: [
      {
        file: 'src/http/problem.ts',
        find: 'const { code, status, title, detail, hint, fields, retryAfterSeconds } = known;',
        replace:
          'const { code, status, title, hint, fields, retryAfterSeconds } = known;\n  const detail = known.detail ?? (known.cause instanceof Error ? known.cause.message : undefined);',
      },
    ],
    groups: ['errors'],
  },
  {
    name: 'the log writes whatever it is given',
    threat: 'passwords and tokens stand in a log that all tenants share',
    edits: [
      {
        file: 'src/kernel/redaction.ts',
        find: "copy[key] = isSecret(key) && item != null ? '[redacted]' : redact(item, depth + 1);",
        replace: 'copy[key] = isSecret(key) && item != null ? item : redact(item, depth + 1);',
      },
    ],
    groups: ['barriers'],
  },
  {
    name: 'request lines carry cookies',
    threat: 'whoever reads the log has sessions of all tenants',
    edits: [
      {
        file: 'src/gateway/tenant-app.ts',
        find: 'userId: request.askedBy,',
        replace: "userId: request.askedBy,\n    from: (request.headers.cookie ?? '').split('=')[1],",
      },
    ],
    groups: ['errors'],
  },
];
