/**
 * Plugins with everything real around them: control database, two tenants' databases, sandboxes as root, keeper's host and link. Only the gateway is missing: what a
 * plugin asks of its API is noted.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { recordAudit } from '#src/audit/index.ts';
import { issuePluginToken, revokePluginToken } from '#src/identity/index.ts';
import { silentLog, systemClock, type TenantId, waitFor } from '#src/kernel/index.ts';
import {
  connectToPlugins,
  createPluginHost,
  createPluginLink,
  createPluginRegistry,
  createPluginRuns,
  createPluginSchedule,
  type Plugin,
  type PluginEnd,
  type PluginKeeper,
  type PluginManifest,
  type PluginPorts,
  type PluginRegistry,
  type PluginRuns,
  readPluginSource,
} from '#src/plugins/index.ts';
import {
  createAppLog,
  createLauncher,
  findControlGroups,
  type Launcher,
  type LauncherPort,
  type LaunchRequest,
  pluginsApp,
  readLogPage,
  removeAppLog,
  removeLeftGroups,
  runTask,
} from '#src/processes/index.ts';
import type { Tenant } from '#src/tenants/index.ts';
import { startTestCluster } from '../support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../support/installation.ts';

export interface PluginWorld {
  readonly installation: TestInstallation;
  readonly registry: PluginRegistry;
  readonly runs: PluginRuns;
  readonly keeper: PluginKeeper;
  readonly launcher: Launcher;
  readonly hasGroups: boolean;
  readonly folder: string;
  /** Both of the Private Cloud edition. */
  readonly acme: TenantId;
  readonly globex: TenantId;
  readonly asked: { method: string; path: string; token: string; tenantId: TenantId }[];
  now: { offsetMs: number };
  look(): Promise<void>;
  getTenant(tenantId: TenantId): Promise<Tenant>;
  setEdition(tenantId: TenantId, edition: 'standard' | 'private-cloud'): Promise<void>;
  /** Adds a plugin of one module. */
  add(tenantId: TenantId, code: string, change?: Partial<PluginManifest> & { name?: string }): Promise<Plugin>;
  /** Adds it, runs it once by hand, and says what came of it. */
  run(tenantId: TenantId, code: string, change?: object, payload?: unknown): Promise<PluginEnd>;
  /** What a line of shell says in a plugin's sandbox, without Node.js's permission model in the way. */
  shell(
    tenantId: TenantId,
    line: string,
    limits?: { memoryBytes?: number },
  ): Promise<{ code: number | null; stdout: string }>;
  log(tenantId: TenantId): Promise<string>;
  /** Control dies, and does not come back. */
  loseControl(): Promise<void>;
  stop(): Promise<void>;
}

const keeperUser = { uid: 64_001, gid: 64_001 };

export async function startPluginWorld(
  portsOf: (tenantId: TenantId, signal: AbortSignal) => Partial<PluginPorts> = () => ({}),
): Promise<PluginWorld> {
  const cluster = await startTestCluster();
  const folder = await mkdtemp(join(tmpdir(), 'fh-plugins-'));
  await chmod(folder, 0o711);
  const installation = await openTestInstallation({ control: cluster.control, folder });
  const { pool, lifecycle, databases } = installation;
  const tenants: TenantId[] = [];
  for (const name of ['acme', 'globex']) {
    const order = { name, adminEmail: 'ada@example.com' };
    const { tenantId, operationId } = await lifecycle.startOperation('create', undefined, order, 'os:test');
    await lifecycle.waitForOperation(operationId);
    tenants.push(tenantId);
  }
  const [acme, globex] = tenants as [TenantId, TenantId];
  const parent = `freehold-plugins-${process.pid}`;
  const groups = await findControlGroups(parent);
  const endings = new Map<number, () => void>();
  const sockets = join(folder, 'pg');
  const logs = join(folder, 'logs');
  for (const path of [sockets, logs, join(folder, 'src')]) await mkdir(path);
  const launcher = createLauncher({
    bubblewrap: '/usr/bin/bwrap',
    users: { keeper: keeperUser, gatewayGid: 0, controlUid: 0, sharedGid: 64_002 },
    node: process.execPath,
    doorProgram: fileURLToPath(new URL('../../src/processes/door.ts', import.meta.url)),
    pluginProgram: fileURLToPath(new URL('../../src/plugins/runner.ts', import.meta.url)),
    appsDir: join(folder, 'apps'),
    dataDir: join(folder, 'data'),
    runDir: join(folder, 'box'),
    socketFoldersOf: () => [sockets],
    groups,
    onEnded: (id) => endings.get(id)?.(),
    log: silentLog,
  });
  const port: LauncherPort = {
    ...launcher,
    async launch(request: LaunchRequest) {
      const { sandboxId } = await launcher.launch(request);
      return { sandboxId, ended: new Promise((resolve) => endings.set(sandboxId, resolve)) };
    },
  };
  const requestFor = (plugin: { tenantId: TenantId; digest: string; place: number; memoryBytes: number }) =>
    ({
      kind: 'plugin',
      owner: plugin.tenantId,
      app: pluginsApp,
      digest: plugin.digest,
      place: plugin.place,
      limits: { memoryBytes: plugin.memoryBytes + 64 * 2 ** 20, cpus: 1, processes: 64 },
    }) as const;

  const asked: PluginWorld['asked'] = [];
  const host = createPluginHost({
    sandbox: (order, command, streams) =>
      runTask(requestFor(order), { command, env: {}, withErrors: false, connections: 1 }, port, streams),
    portsOf: ({ runId, tenantId, api }, signal) => ({
      async api({ method, path }) {
        asked.push({ method, path, token: api!.token, tenantId });
        return { status: 200, headers: {}, body: '{"ok":true}' };
      },
      fetch: () => Promise.reject(new Error('no internet here')),
      state: (call) => client.state(runId, call),
      ...portsOf(tenantId, signal),
    }),
    logOf: (tenantId) => createAppLog({ path: join(logs, tenantId), secrets: [], clock: systemClock }),
    clock: systemClock,
  });
  const socketPath = join(folder, 'plugins.sock');
  const link = createPluginLink({
    socketPath,
    mode: 0o600,
    state: (runId, call) => runs.state(runId, call),
    log: silentLog,
  });
  await link.start();
  const client = connectToPlugins({
    socketPath,
    host,
    readLog: async (tenantId, last) => (await readLogPage(join(logs, tenantId), { last })).lines,
    removeLog: (tenantId) => removeAppLog(join(logs, tenantId)),
    log: silentLog,
  });
  await waitFor('the keeper to be there', () =>
    link.readLog(acme, 1).then(
      () => true,
      () => false,
    ),
  );
  const packages = join(folder, 'apps', pluginsApp);
  const now = { offsetMs: 0 };
  const clock = { ...systemClock, now: () => systemClock.now() + now.offsetMs };
  const transact: Parameters<typeof createPluginRuns>[0]['transact'] = (tenantId, work) =>
    databases.platform.transact(tenantId, work);
  const registry = createPluginRegistry({
    db: pool,
    store: {
      has: (digest) =>
        chmod(join(packages, digest), 0o755).then(
          () => true,
          () => false,
        ),
      async layOut(digest, content) {
        const at = join(packages, digest);
        await mkdir(at, { recursive: true });
        await writeFile(`${at}.tar`, content);
        await promisify(execFile)('tar', ['-xf', `${at}.tar`, '-C', at]);
      },
      remove: (digest) => launcher.removeVersion(pluginsApp, digest),
    },
    transact,
    removeLog: (tenantId) => link.removeLog(tenantId),
    endRuns: (tenantId, name, reason) => runs.end(tenantId, name, reason),
    recordAudit,
    clock,
    log: silentLog,
  });
  const runs = createPluginRuns({
    db: pool,
    registry,
    keeper: link,
    getTenant: (idOrName) => lifecycle.getTenant(idOrName),
    transact,
    tenantUrl: (name) => `https://${name}.localhost:8443`,
    tokens: { issue: issuePluginToken, revoke: revokePluginToken },
    recordAudit,
    clock,
    log: silentLog,
  });
  const schedule = createPluginSchedule({ db: pool, runs, registry, transact, clock, log: silentLog });
  let count = 0;

  const world: PluginWorld = {
    installation,
    registry,
    runs,
    keeper: link,
    launcher,
    hasGroups: groups !== undefined,
    folder,
    acme,
    globex,
    asked,
    now,
    look: () => schedule.look(),
    getTenant: (tenantId) => lifecycle.getTenant(tenantId),
    async setEdition(tenantId, edition) {
      await pool.query('UPDATE tenants SET edition = $2 WHERE tenant_id = $1', [tenantId, edition]);
    },
    async add(tenantId, code, change = {}) {
      const source = join(folder, 'src', `p${++count}`);
      await mkdir(source);
      const manifest = { name: 'probe', version: '1.0.0', entry: 'main.mjs', ...change };
      await writeFile(join(source, 'freehold.plugin.json'), JSON.stringify(manifest));
      await writeFile(join(source, 'main.mjs'), code);
      return registry.add(await world.getTenant(tenantId), await readPluginSource(source), 'os:test');
    },
    async run(tenantId, code, change, payload) {
      const plugin = await world.add(tenantId, code, change);
      return runs.run(plugin, { trigger: 'manual', ...(payload !== undefined && { payload }) });
    },
    async shell(tenantId, line, { memoryBytes = 192 * 2 ** 20 } = {}) {
      const [plugin] = await registry.list(tenantId);
      let stdout = '';
      const ended = await runTask(
        requestFor({ ...plugin!, memoryBytes }),
        { command: ['/bin/sh', '-c', line], env: { PATH: '/usr/bin:/bin' }, connections: 1 },
        port,
        {
          onOutput(chunk) {
            stdout += chunk;
          },
          signal: AbortSignal.timeout(30_000),
        },
      );
      return { code: ended.code, stdout };
    },
    log: async (tenantId) => (await link.readLog(tenantId, 200)).join('\n'),
    loseControl: () => link.stop(),
    async stop() {
      await host.stop();
      await client.close();
      await link.stop();
      await launcher.killAll();
      if (groups) {
        await removeLeftGroups(groups, parent);
        const at = groups.version === 2 ? [parent] : ['memory', 'pids', 'cpu'].map((one) => join(one, parent));
        await promisify(execFile)(
          'rmdir',
          at.map((one) => join('/sys/fs/cgroup', one)),
        );
      }
      await dropTestTenants(installation);
      await installation.stop();
      await cluster.stop();
      await rm(folder, { recursive: true });
    },
  };
  for (const tenantId of tenants) await world.setEdition(tenantId, 'private-cloud');
  return world;
}
