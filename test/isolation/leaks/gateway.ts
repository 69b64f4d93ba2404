// biome-ignore-all lint/suspicious/noTemplateCurlyInString: texts of the product, as they stand there
import type { PlantedLeak } from './types.ts';

const door = 'src/gateway/door.ts';
const host = 'src/gateway/host.ts';
const directory = 'src/gateway/directory-client.ts';
const tenantApp = 'src/gateway/tenant-app.ts';
const crossSite = 'src/gateway/cross-site.ts';

export const gatewayLeaks: readonly PlantedLeak[] = [
  {
    name: 'the certificate of the connection is not compared with the host',
    threat: 'a connection made for one tenant asks for another (domain fronting, shared caches)',
    edits: [
      {
        file: door,
        find: 'if (serverNameOf(request) !== host) throw gatewayErrors.FH_HOST_MISDIRECTED();',
        replace: '',
      },
    ],
    groups: ['hosts'],
  },
  {
    name: "the directory's answer is used whatever host it is about",
    threat: 'one mistake in a lookup opens another tenant',
    edits: [{ file: door, find: 'if (tenant?.host !== host) throw', replace: 'if (!tenant) throw' }],
    groups: ['barriers'],
  },
  {
    name: 'of two Host headers the last one counts',
    threat: 'a proxy that looks at the first lets the second through',
    edits: [{ file: host, find: "if (host !== undefined) throw invalid('there are two Host headers');", replace: '' }],
    groups: ['hosts'],
  },
  {
    name: 'X-Forwarded-Host is believed',
    threat: 'a client chooses its tenant',
    edits: [
      {
        file: host,
        find: "if (name.length === 4 && name.toLowerCase() === 'host') {",
        replace:
          "if (name.toLowerCase() === 'x-forwarded-host') return rawHeaders[index + 1]!;\n    if (name.length === 4 && name.toLowerCase() === 'host') {",
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'Host and :authority may differ',
    threat: 'two parties read two tenants from one request',
    edits: [
      {
        file: host,
        find: "if (authority !== undefined && host !== undefined && authority !== host) throw invalid('Host and :authority differ');",
        replace: '',
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'an absolute target is taken',
    threat: 'the target names one tenant, Host another',
    edits: [
      {
        file: host,
        find: "if (!request.url?.startsWith('/')) throw invalid('the target is not a path');",
        replace: '',
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'any port will do',
    threat: 'origins that the product does not know of are served as a tenant',
    edits: [
      {
        file: host,
        find: "if (publicPort !== undefined && Number(match[2] ?? 443) !== publicPort) throw invalid('the port is not ours');",
        replace: '',
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'a trailing dot is cut off',
    threat: 'a second origin for the same tenant, with cookies and caches of its own',
    edits: [
      {
        file: host,
        find: 'const match = hostAndPort.exec(text.toLowerCase());',
        replace: "const match = hostAndPort.exec(text.toLowerCase().replace(/\\.(?=:|$)/, ''));",
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'any host that ends with the tenant is the tenant',
    threat: 'names below a tenant, for example of a forgotten DNS entry, serve it',
    edits: [
      {
        file: host,
        find: "if (under > 0 && host.endsWith(domain) && host[under] === '.' && !host.slice(0, under).includes('.'))\n    return { kind: 'tenant', host };",
        replace:
          "if (under > 0 && host.endsWith(domain) && host[under] === '.')\n    return { kind: 'tenant', host: `${host.slice(0, under).split('.').at(-1)}.${domain}` };",
      },
      {
        file: door,
        find: 'if (serverNameOf(request) !== host) throw',
        replace: 'if (!serverNameOf(request)?.endsWith(host)) throw',
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'routes are remembered under a common key',
    threat: 'whoever comes second is served as the tenant that came first',
    edits: [
      {
        file: directory,
        find: 'findRoute: (host) => routes.get(host),',
        replace: 'findRoute: (host) => (first ??= routes.get(host)),',
      },
      {
        file: directory,
        find: 'const flushListeners: (() => Promise<void>)[] = [];',
        replace:
          'const flushListeners: (() => Promise<void>)[] = [];\n  let first: Promise<TenantRoute | undefined> | undefined;',
      },
    ],
    groups: ['barriers'],
  },
  {
    name: 'accesses are remembered under a common key, and nobody compares',
    threat: "one tenant's requests run in the other's database",
    edits: [
      {
        file: directory,
        find: 'getAccess: (tenantId) => accesses.get(tenantId) as Promise<TenantAccess>,',
        replace: 'getAccess: (tenantId) => (first ??= accesses.get(tenantId)) as Promise<TenantAccess>,',
      },
      {
        file: directory,
        find: 'const flushListeners: (() => Promise<void>)[] = [];',
        replace:
          'const flushListeners: (() => Promise<void>)[] = [];\n  let first: Promise<TenantAccess | undefined> | undefined;',
      },
      {
        file: 'src/databases/tenant-databases.ts',
        find: 'if (access.tenantId !== tenantId) throw databaseErrors.FH_DB_WRONG_DATABASE();',
        replace: '',
      },
    ],
    groups: ['barriers', 'tokens'],
  },
  {
    name: 'a changed tenant keeps its remembered route',
    threat: 'a suspended or renamed tenant goes on being served',
    edits: [
      {
        file: directory,
        find: "routes.forget((route) => route.tenantId === tenantId || route.state === 'deleted');",
        replace: '',
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'a changed tenant keeps its remembered access',
    threat: 'passwords of a closed tenant stay in every worker',
    edits: [{ file: directory, find: 'accesses.forget((access) => access.tenantId === tenantId);', replace: '' }],
    groups: ['barriers'],
  },
  {
    name: 'an answer that was on its way survives a change',
    threat: 'a route from before the suspension is remembered after it',
    edits: [
      {
        file: 'src/gateway/cached-lookup.ts',
        find: 'if (startedIn === generation) {',
        replace: 'if (startedIn <= generation) {',
      },
    ],
    groups: ['barriers'],
  },
  {
    name: 'control tells no gateway what changed',
    threat: 'a suspended tenant goes on until memories expire',
    edits: [
      {
        file: 'src/gateway/control-link.ts',
        find: "await server.broadcast('tenantChanged', { tenantId }, { timeoutMs: answerWithinMs });",
        replace: 'void [server, tenantId, answerWithinMs];',
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'a suspended tenant is open at the door',
    threat: 'pages, descriptions and sign-in of a suspended tenant are served',
    edits: [
      {
        file: 'src/gateway/tenant-states.ts',
        find: "if (state === 'active') return;",
        replace: "if (state === 'active' || state === 'suspended') return;",
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'nobody asks for a session',
    threat: 'strangers reach what is behind the door (both doors look away)',
    edits: [
      {
        file: tenantApp,
        find: '      throw identityErrors.FH_SESSION_REQUIRED();\n',
        replace: '      return undefined;\n',
      },
      {
        file: 'src/identity/routes.ts',
        find: '      if (!session) throw identityErrors.FH_SESSION_REQUIRED();\n      if (config.roles',
        replace: '      if (!session) return;\n      if (config.roles',
      },
    ],
    groups: ['routes'],
  },
  {
    name: 'nobody asks for the role',
    threat: "a member reads the tenant's security log and invitations",
    edits: [
      {
        file: 'src/gateway/unconfirmed-session.ts',
        find: 'if (roles && !roles.includes(user.role))',
        replace: "if (roles && user.role === ('nobody' as string))",
      },
      {
        file: 'src/identity/routes.ts',
        find: 'if (config.roles && !config.roles.includes(session.user.role)) throw identityErrors.FH_ROLE_REQUIRED();',
        replace: '',
      },
    ],
    groups: ['roles'],
  },
  {
    name: 'pages of the same site may write',
    threat: "one tenant's page acts with the cookies of another tenant's user",
    edits: [
      {
        file: crossSite,
        find: "(site !== undefined && site !== 'same-origin' && site !== 'none') ||",
        replace: "(site !== undefined && site !== 'same-origin' && site !== 'none' && site !== 'same-site') ||",
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'the origin of a write is not looked at',
    threat: "one tenant's page acts with the cookies of another tenant's user, in a browser without fetch metadata",
    edits: [
      {
        file: crossSite,
        find: '(headers.origin !== undefined && headers.origin !== origin)',
        replace: '(headers.origin !== undefined && origin === undefined)',
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'pages of the same site may read',
    threat: "one tenant's page probes and embeds another tenant's data",
    edits: [
      {
        file: crossSite,
        find: "(site === 'cross-site' || site === 'same-site') &&",
        replace: "site === 'cross-site' &&",
      },
    ],
    groups: ['hosts'],
  },
  {
    name: 'events go to the subscribers of all tenants',
    threat: 'a listener hears what happens elsewhere',
    edits: [
      {
        file: 'src/gateway/live-events.ts',
        find: 'for (const listener of subscribers.get(tenantId) ?? []) listener(tenantId, event);',
        replace: 'for (const all of subscribers.values()) for (const listener of all) listener(tenantId, event);',
      },
    ],
    groups: ['barriers'],
  },
  {
    name: 'running requests are counted over all tenants',
    threat: "one tenant's crowd locks the others out",
    edits: [
      {
        file: 'src/gateway/limits.ts',
        find: 'const now = counts.get(key) ?? 0;',
        replace: 'const now = [...counts.values()].reduce((sum, one) => sum + one, 0);',
      },
    ],
    groups: ['barriers'],
  },
];
