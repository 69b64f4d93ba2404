import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClusterPair, type FailoverReport, longestShutdownMs, type ShippedWal } from '#src/clusters/index.ts';
import type { Log } from '#src/kernel/index.ts';
import { createAppLauncher } from './app-launcher.ts';
import { createEmbeddedCluster, publish } from './cluster.ts';
import { type Config, type Env, settings } from './config.ts';
import { mainErrors } from './errors.ts';
import { ensureFolders, type Folders, foldersOf } from './folders.ts';
import { clusterVariable, ManagedProcess, type ManagedProcessOptions } from './managed-process.ts';
import { ensureOsUsers } from './os-users.ts';
import { isPortFree } from './port.ts';
import { createPrivateServers, type PrivateServers } from './private-servers.ts';
import { placeProgram } from './program-copy.ts';
import { openShippedWalReader } from './shipped-wal-reader.ts';
import type { Shutdown } from './shutdown.ts';
import { createSupervisorLink } from './supervisor-link.ts';

export interface SupervisorOptions {
  readonly config: Config;
  readonly env: Env;
  readonly log: Log;
  readonly shutdown: Shutdown;
  /** Says what is being done, for a person who watches. */
  readonly say: (text: string) => void;
  /** Says why it takes so long, also where nobody wants to hear the rest. */
  readonly onWaiting?: (text: string) => void;
  /** Longest pause before a part that keeps dying is started again. Default 10,000. */
  readonly longestRestartMs?: number;
}

export interface Running {
  readonly folders: Folders;
  /** One-time address of the console's set-up page; undefined once there is a staff member. */
  readonly setupUrl: string | undefined;
  /** The page of the first recovery kit, once. */
  readonly recoveryKit: string | undefined;
}

type Role = 'control' | 'gateway' | 'shipper' | 'apps';

const startDeadlineMs = 60_000;
const drainDeadlineMs = 15_000;
/** Control says every minute that it is there. */
const silentLimitMs = 5 * 60_000;

/** Starts the database, control and the gateways in this order; `shutdown` stops them in the reverse one. */
export async function startAll(options: SupervisorOptions): Promise<Running> {
  const { config, env, log, shutdown, say, onWaiting = say, longestRestartMs = 10_000 } = options;
  for (const [host, port] of [
    [config.host, config.port],
    [config.consoleHost, config.consolePort],
  ] as const) {
    if (!(await isPortFree(host, port))) throw mainErrors.FH_PORT_TAKEN({ detail: `${host}:${port}` });
  }
  const users = ensureOsUsers();
  const folders = foldersOf(config.dataDir);
  ensureFolders(
    folders,
    users,
    config.regions.map(({ location }) => location),
  );
  // The last of all. Sockets that lie elsewhere would outlive a data folder that is removed.
  if (!folders.run.startsWith(config.dataDir))
    shutdown.add('folder of the sockets', 1_000, () => rm(folders.run, { recursive: true, force: true }));
  let control: ManagedProcess | undefined;
  let shipper: ManagedProcess | undefined;
  const programDir = placeProgram(config.dataDir, users !== undefined);
  const pair = config.externalDatabase ? undefined : await startCluster();
  const servers = pair && (await startServers());

  function manage(
    name: string,
    role: Role,
    more: Pick<ManagedProcessOptions, 'onSpawned'> & { readonly cluster?: string } = {},
  ): ManagedProcess {
    const { cluster, ...options } = more;
    return new ManagedProcess({
      ...options,
      name,
      role,
      programDir,
      env: { ...environmentOf(role, config, env), ...(cluster && { [clusterVariable]: cluster }) },
      logFile: join(folders.log, `${name}.log`),
      startDeadlineMs,
      longestRestartMs,
      isStopping: () => shutdown.isRunning,
      log,
      ...(role === 'control' && { beatWithinMs: silentLimitMs }),
    });
  }

  say('starting control');
  control = manage('control', 'control', { onSpawned: (child) => servers?.serve(child) });
  shutdown.add('control', drainDeadlineMs + 5_000, async () => control?.stop(drainDeadlineMs));
  const facts = await control.start();
  // People hand it to their browsers.
  publish(folders.caCertificate, String(facts.caCertificate));
  if (pair) await openToOperator(pair, servers!);

  shipper = pair && config.backups === 'on' ? manage('shipper', 'shipper') : undefined;
  // Stops after the gateways: what they still write is shipped as well.
  if (shipper) shutdown.add('shipper', drainDeadlineMs, async () => shipper?.stop(drainDeadlineMs - 2_000));
  if (servers) shutdown.add('shippers of private servers', drainDeadlineMs, () => servers.stopShippers());

  const appLauncher = await createAppLauncher({ config, folders, users, programDir, log });
  const apps = manage('apps', 'apps', { onSpawned: (child) => appLauncher.serve(child) });
  // After the gateways, whose last requests still go there.
  shutdown.add('apps', drainDeadlineMs + 5_000, async () => {
    await apps.stop(drainDeadlineMs);
    await appLauncher.stop();
  });

  say(`starting ${config.workers} gateway${config.workers === 1 ? '' : 's'}`);
  const gateways = Array.from({ length: config.workers }, (_, index) => manage(`gateway-${index + 1}`, 'gateway'));
  shutdown.add('gateways', drainDeadlineMs + 5_000, async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop(drainDeadlineMs)));
  });
  await Promise.all([...gateways, apps, ...(shipper ? [shipper] : [])].map((part) => part.start()));
  // Last, and in the background: whoever waits for the installation does not wait for a copy of the data.
  await pair?.startStandby();
  const fact = (name: string) => (typeof facts[name] === 'string' ? facts[name] : undefined);
  return { folders, setupUrl: fact('setupUrl'), recoveryKit: fact('recoveryKit') };

  async function startCluster(): Promise<ClusterPair> {
    const pair = await createEmbeddedCluster({
      config,
      folders,
      users,
      isStopping: () => shutdown.isRunning,
      onFailover,
      openShippedWal: config.backups === 'on' ? openShippedWalOf(folders, () => shipper) : undefined,
      longestRestartMs,
      onWaiting,
      log,
    });
    shutdown.add(
      'PostgreSQL',
      longestShutdownMs + 110_000,
      () => pair.stop(),
      () => pair.endAtOnce(),
    );
    say('starting PostgreSQL');
    await pair.start();
    return pair;
  }

  async function startServers(): Promise<PrivateServers> {
    const shippers = new Map<string, ManagedProcess>();
    const servers = createPrivateServers({
      folders,
      users,
      openCluster: (of, cluster) =>
        createEmbeddedCluster({
          ...of,
          config,
          isStopping: () => shutdown.isRunning,
          onFailover,
          openShippedWal:
            config.backups === 'on' ? openShippedWalOf(of.folders, () => shippers.get(cluster), cluster) : undefined,
          memoryBytes: config.privateMemoryBytes,
          longestRestartMs,
          onWaiting,
          log,
        }),
      createShipper(cluster) {
        if (config.backups !== 'on') return undefined;
        const made = manage(`shipper-${cluster}`, 'shipper', { cluster });
        shippers.set(cluster, made);
        return made;
      },
      log,
    });
    shutdown.add(
      'private servers',
      servers.longestStopMs,
      () => servers.stop(),
      () => void servers.endAtOnce(),
    );
    await servers.startAll();
    return servers;
  }

  /** Of one cluster, whose folders these are. */
  function openShippedWalOf(of: Folders, shipperOf: () => ManagedProcess | undefined, cluster?: string) {
    return ({ isAlone }: { readonly isAlone: boolean }): Promise<ShippedWal> => {
      const reader = {
        folders: of,
        users,
        programDir,
        env: { ...environmentOf('shipper', config, env), ...(cluster && { [clusterVariable]: cluster }) },
        stopShipper: async () => shipperOf()?.stop(drainDeadlineMs - 2_000),
        resumeShipper() {
          if (!shutdown.isRunning)
            shipperOf()
              ?.start()
              .catch((error) => log.error('the shipper did not come back', { error }));
        },
        log,
      };
      return openShippedWalReader(reader, { isAlone });
    };
  }

  async function openToOperator(pair: ClusterPair, servers: PrivateServers): Promise<void> {
    const link = createSupervisorLink(folders.supervisorSocket, { pair, findPair: (name) => servers.find(name), log });
    await link.start();
    shutdown.add("operator's socket", 1_000, () => link.stop());
  }

  /** Control remembers what it has written. When some of that is gone, it must read everything anew. */
  function onFailover({ lostBytes }: FailoverReport): void {
    if (lostBytes !== 0) control?.kill('SIGTERM');
  }
}

/** What a child may see of our environment: the settings, and what programs need to run; nothing else that happens to be there. */
export function environmentOf(role: Role, config: Config, env: Env): Record<string, string> {
  const childEnv: Record<string, string> = { PATH: env.PATH ?? '/usr/bin:/bin', NODE_ENV: 'production' };
  for (const name of Object.keys(settings)) {
    const value = env[name];
    // Nobody else has any business with control's own way into the database, with the address of its heartbeat, or with the mail server.
    if (value !== undefined && !(role !== 'control' && /^FREEHOLD_(DATABASE|HEARTBEAT|SMTP)_URL/.test(name)))
      childEnv[name] = value;
  }
  return {
    ...childEnv,
    // Where the launcher keeps compiled code; they may read it, and fill it before they give up root.
    ...(env.NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE }),
    FREEHOLD_DATA: config.dataDir,
    FREEHOLD_PORT: String(config.port),
    FREEHOLD_CONSOLE_PORT: String(config.consolePort),
  };
}
