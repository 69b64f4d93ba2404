import { createReadStream, existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { Readable } from 'node:stream';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { TenantFolders } from '#src/files/index.ts';
import { clientSecretName, issuerPath } from '#src/identity/index.ts';
import { type Log, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import {
  builderPlace,
  createSpecsServer,
  inside,
  type LaunchRequest,
  pluginsApp,
  processErrors,
  type RunSpec,
  type SpecsServer,
  systemAuthorities,
} from '#src/processes/index.ts';
import {
  type AppCommand,
  type AppInstaller,
  type AppRegistry,
  type AppVersion,
  ensureSecrets,
  resolveEnvironment,
} from '#src/releases/index.ts';
import {
  type AppProcessesPort,
  isClosedForAMoment,
  type Tenant,
  type TenantAccess,
  tenantErrors,
} from '#src/tenants/index.ts';

export interface AppProcessesDeps {
  readonly socketPath: string;
  readonly streamsPath: string;
  readonly registry: Pick<AppRegistry, 'findTenantApp' | 'get'>;
  readonly getTenant: (tenantId: TenantId) => Promise<Tenant>;
  readonly getAccess: (tenantId: TenantId) => Promise<TenantAccess>;
  readonly databases: Pick<TenantDatabases, 'platform'>;
  readonly folders: TenantFolders;
  readonly tenantUrl: (name: string) => string;
  readonly log: Log;
}

/** What control does for apps that are processes: what to run, how to build it, and where their folders are kept. */
export interface AppProcesses extends Pick<SpecsServer, 'start' | 'stop' | 'recheck' | 'list' | 'readLog' | 'fences'> {
  readonly installer: AppInstaller;
  /** Packages of plugins lie beside versions of apps. */
  readonly pluginPackages: {
    layOut(digest: string, content: Buffer): Promise<void>;
    remove(digest: string): Promise<void>;
  };
  readonly forTenants: AppProcessesPort;
}

/** Inside the sandbox: no other app is there, so it may be the same for all; but the tenant's own port, where its provider is, may be this one. */
const portBeside = (taken: number | undefined): number => (taken === 8080 ? 8081 : 8080);
const path = '/freehold/bin:/usr/local/bin:/usr/bin:/bin';
const databasePort = 5432;
/** By these names libraries of many languages find whom to trust; an app whose provider is its own tenant needs to. */
const authorities = {
  NODE_EXTRA_CA_CERTS: inside.authorities,
  SSL_CERT_FILE: inside.authorities,
  REQUESTS_CA_BUNDLE: inside.authorities,
};
const lastLines = 60;

export function createAppProcesses(deps: AppProcessesDeps): AppProcesses {
  const { databases, folders, log } = deps;
  /** Whom the lifecycle starts before they are open to anybody else. */
  const beingMade = new Set<TenantId>();

  async function findApp(tenantId: TenantId) {
    const placed = await deps.registry.findTenantApp(tenantId);
    return placed && { placed, version: await deps.registry.get(placed.app, placed.version) };
  }

  async function getApp(tenantId: TenantId) {
    const found = await findApp(tenantId);
    if (!found) throw processErrors.FH_APP_FAILED({ detail: 'the app of this tenant is no process' });
    return found;
  }

  async function specOf(tenantId: TenantId): Promise<RunSpec> {
    const tenant = await deps.getTenant(tenantId);
    // Passing: whoever has the tenant ends its app when the time has come.
    if (isClosedForAMoment(tenant.state) && !beingMade.has(tenantId))
      throw processErrors.FH_APP_BUSY({ detail: `the tenant is ${tenant.state}` });
    if (tenant.state !== 'active' && !beingMade.has(tenantId))
      throw tenantErrors.FH_TENANT_NOT_ACTIVE({ detail: `it is ${tenant.state}` });
    const { placed, version } = await getApp(tenantId);
    const access = await deps.getAccess(tenantId);
    const { manifest, digest } = version;
    const url = new URL(deps.tenantUrl(tenant.name));
    const hasProvider = manifest.identity.kind === 'oidc';
    const issuer = hasProvider ? { host: url.hostname, port: Number(url.port || 443) } : undefined;
    const { secrets, migratedTo } = await databases.platform.transact(tenantId, async (db) => ({
      secrets: await ensureSecrets(db, [...manifest.secrets, ...(hasProvider ? [clientSecretName] : [])]),
      migratedTo: await findMigrated(db),
    }));
    const { limits, health } = manifest;
    return {
      tenantId,
      app: placed.app,
      version: placed.version,
      digest,
      place: placed.place,
      cluster: serverOf(tenant),
      migrate: manifest.migrate !== undefined && migratedTo !== digest ? wordsOf(manifest.migrate) : undefined,
      start: wordsOf(manifest.start),
      env: {
        PATH: path,
        ...(issuer && authorities),
        ...environmentOf(tenant, version, access, secrets, portBeside(issuer?.port)),
      },
      port: portBeside(issuer?.port),
      host: url.host,
      ...(issuer && { issuer }),
      healthPath: health.path,
      startMs: health.startSeconds * 1_000,
      idleMs: manifest.idleMinutes * 60_000,
      limits: { ...limitsOf(manifest.limits), folderBytes: limits.folderMb * 2 ** 20, connections: limits.connections },
    };
  }

  function environmentOf(
    tenant: Tenant,
    { manifest }: AppVersion,
    { app: { user, password }, database: { name }, identityKey }: TenantAccess,
    { [clientSecretName]: clientSecret = '', ...secrets }: Readonly<Record<string, string>>,
    port: number,
  ): Readonly<Record<string, string>> {
    const url = deps.tenantUrl(tenant.name);
    const host = '127.0.0.1';
    return resolveEnvironment(manifest, {
      database: {
        url: `postgres://${user}:${password}@${host}:${databasePort}/${name}`,
        host,
        port: String(databasePort),
        name,
        user,
        password,
      },
      port: String(port),
      url,
      host: new URL(url).host,
      folder: inside.data,
      tenant: { id: tenant.tenantId, name: tenant.name, title: tenant.title },
      identity: {
        key: Buffer.from(identityKey).toString('base64url'),
        issuer: url + issuerPath,
        clientId: manifest.name,
        clientSecret,
      },
      secrets,
    });
  }

  async function requestFor(tenantId: TenantId, kind: 'run' | 'lay-out'): Promise<LaunchRequest> {
    const { placed, version } = await getApp(tenantId);
    const cluster = serverOf(await deps.getTenant(tenantId));
    const limits = { memoryBytes: 256 * 2 ** 20, cpus: 1, processes: 64 };
    return { kind, owner: tenantId, app: placed.app, digest: version.digest, place: placed.place, cluster, limits };
  }

  /** By a process of the tenant's own user, because only that may read what the app has closed to others. */
  async function keepFolder(tenantId: TenantId): Promise<void> {
    const { version } = await getApp(tenantId);
    const maxBytes = version.manifest.limits.folderMb * 2 ** 20;
    const command = ['/bin/tar', '--create', '--file=-', '--format=posix', '--sort=name', '.'];
    const end = await specs
      .runTask(
        await requestFor(tenantId, 'run'),
        { command, env: { PATH: path }, folder: inside.data, withErrors: false },
        {
          output: async (content, ended) => {
            await folders.keepFolder(tenantId, wholeOnly(content, ended), { maxBytes });
          },
        },
      )
      .catch((error) => {
        if (toFreeholdError(error).code === 'FH_APP_FOLDER_MISSING') return undefined;
        throw error;
      });
    if (end?.code === 1) log.info('a folder was written while it was read', { tenantId });
  }

  async function layOut(tenantId: TenantId): Promise<void> {
    const command = [
      '/bin/tar',
      '--extract',
      '--file=-',
      '--preserve-permissions',
      '--no-same-owner',
      '--delay-directory-restore',
    ];
    const { code } = await specs.runTask(
      await requestFor(tenantId, 'lay-out'),
      { command, env: { PATH: path }, folder: inside.data },
      { input: folders.layOutFolder(tenantId), output: drain },
    );
    if (code !== 0) throw processErrors.FH_APP_FAILED({ detail: 'its folder could not be laid out' });
    await specs.finishData(tenantId);
  }

  const specs = createSpecsServer({
    socketPath: deps.socketPath,
    streamsPath: deps.streamsPath,
    mode: 0o666,
    specOf,
    migrated: async (tenantId, version) => {
      const { placed, version: of } = await getApp(tenantId);
      if (placed.version === version) await databases.platform.transact(tenantId, (db) => noteMigrated(db, of.digest));
    },
    layOut,
    keepFolder,
    log,
  });

  return {
    start: () => specs.start(),
    stop: () => specs.stop(),
    recheck: (tenantId) => specs.recheck(tenantId),
    list: () => specs.list(),
    fences: () => specs.fences(),
    readLog: (tenantId, query) => specs.readLog(tenantId, query),
    ...createInstaller(specs),
    forTenants: {
      async start(tenantId) {
        if (!(await findApp(tenantId))) return;
        beingMade.add(tenantId);
        try {
          await specs.wake(tenantId);
        } finally {
          beingMade.delete(tenantId);
        }
      },
      async evict(tenantId) {
        if (await findApp(tenantId)) await specs.evict(tenantId);
      },
      async settle(tenantId, { mustKeep }) {
        if (!(await findApp(tenantId))) return;
        await specs.evict(tenantId, { isPatient: mustKeep });
        await keepFolder(tenantId).catch((error) => {
          if (mustKeep) throw error;
          log.warn('a folder could not be kept', { tenantId, error });
        });
      },
      async keepFolder(tenantId) {
        if (await findApp(tenantId)) await keepFolder(tenantId);
      },
      async remove(tenantId) {
        if (await findApp(tenantId)) await specs.removeData(tenantId);
      },
    },
  };
}

/** Versions are laid out and built by a user of their own, in a sandbox that reaches the internet and nothing of ours. */
function createInstaller(specs: SpecsServer): Pick<AppProcesses, 'installer' | 'pluginPackages'> {
  async function run(request: LaunchRequest, command: readonly string[], input?: Readable): Promise<void> {
    const said = lastLinesOf();
    const end = await specs.runTask(
      request,
      { command, env: buildEnvironment() },
      { ...(input && { input }), output: said.read },
    );
    if (end.code !== 0)
      // Shown to staff as it is.
      throw new Error(
        `${end.failure ?? `it ended with ${end.signal ?? `exit code ${end.code}`}`}\n${said.lines().join('\n')}`,
      );
  }
  async function install(app: string, digest: string, archive: Readable, build?: AppCommand): Promise<void> {
    const limits = { memoryBytes: Math.floor(Math.max(2 ** 30, totalmem() / 2)), cpus: 1_024, processes: 4_096 };
    const request: LaunchRequest = {
      kind: 'build',
      owner: `build-${app}`.slice(0, 64),
      app,
      digest,
      place: builderPlace,
      limits,
    };
    await specs.removeVersion(app, digest);
    try {
      await run(request, ['/bin/tar', '--extract', '--file=-', '--no-same-owner'], archive);
      if (build !== undefined) await run(request, wordsOf(build));
      // Whoever runs it is another user than who built it.
      await run(request, ['/bin/chmod', '--recursive', 'a+rX,go-w,ug-s', '.']);
      await specs.finishBuild(app, digest);
    } catch (error) {
      await specs.removeVersion(app, digest).catch(() => undefined);
      throw error;
    }
  }
  return {
    installer: {
      install: ({ app, digest, archivePath, build }) => install(app, digest, createReadStream(archivePath), build),
      remove: ({ app, digest }) => specs.removeVersion(app, digest),
    },
    pluginPackages: {
      layOut: (digest, content) => install(pluginsApp, digest, Readable.from([content])),
      remove: (digest) => specs.removeVersion(pluginsApp, digest),
    },
  };
}

function buildEnvironment(): Record<string, string> {
  return {
    PATH: path,
    HOME: '/tmp',
    CI: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    // Whom this machine trusts, builds trust.
    ...(existsSync(systemAuthorities) && {
      NODE_EXTRA_CA_CERTS: systemAuthorities,
      SSL_CERT_FILE: systemAuthorities,
      npm_config_cafile: systemAuthorities,
    }),
  };
}

function wordsOf(command: AppCommand): readonly string[] {
  return typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
}

function limitsOf({ memoryMb, cpus, processes }: AppVersion['manifest']['limits']) {
  return { memoryBytes: memoryMb * 2 ** 20, cpus, processes };
}

/** GNU tar: 1 means that something was written while it was read, which the next copy has; anything else that some of it is missing. */
async function* wholeOnly(content: AsyncIterable<Uint8Array>, ended: Promise<{ readonly code: number | null }>) {
  yield* content;
  const { code } = await ended;
  if (code !== 0 && code !== 1)
    throw processErrors.FH_APP_FAILED({ detail: `its folder could not be read: tar ended with ${code}` });
}

async function drain(content: Readable): Promise<void> {
  for await (const _chunk of content);
}

function lastLinesOf(): { readonly read: (content: Readable) => Promise<void>; readonly lines: () => string[] } {
  let text = '';
  return {
    async read(content) {
      for await (const chunk of content) text = (text + String(chunk)).slice(-16_384);
    },
    lines: () => text.trimEnd().split('\n').slice(-lastLines),
  };
}

/** The content whose `migrate` this database has seen: it goes along with restores, where an older database needs it again. */

async function findMigrated(db: { query<R extends object>(text: string, values?: unknown[]): Promise<R[]> }) {
  const [row] = await db.query<{ digest: string }>('SELECT digest FROM freehold.app_migrated');
  return row?.digest;
}

async function noteMigrated(
  db: { query<R extends object>(text: string, values?: unknown[]): Promise<R[]> },
  digest: string,
) {
  await db.query(
    `INSERT INTO freehold.app_migrated (is_only, digest, at) VALUES (true, $1, now())
     ON CONFLICT (is_only) DO UPDATE SET digest = EXCLUDED.digest, at = EXCLUDED.at`,
    [digest],
  );
}

/** undefined: the one that all share. */
function serverOf({ cluster }: Tenant): string | undefined {
  return cluster === 'main' ? undefined : cluster;
}
