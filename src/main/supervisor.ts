import { renameSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Cluster, createCluster, findBinaries } from '#src/clusters/index.ts';
import { isPortFree } from '#src/gateway/index.ts';
import type { Log } from '#src/kernel/index.ts';
import { type Config, type Env, settings } from './config.ts';
import { mainErrors } from './errors.ts';
import { ensureFolders, type Folders, foldersOf } from './folders.ts';
import { ManagedProcess } from './managed-process.ts';
import { ensureOsUsers } from './os-users.ts';
import { placeProgram } from './program-copy.ts';
import { ensureDatabaseSecret } from './secrets.ts';
import type { Shutdown } from './shutdown.ts';

export interface SupervisorOptions {
  readonly config: Config;
  readonly env: Env;
  readonly log: Log;
  readonly shutdown: Shutdown;
  /** Says what is being done, for a person who watches. */
  readonly say: (text: string) => void;
  /** Longest pause before a part that keeps dying is started again. Default 10,000. */
  readonly longestRestartMs?: number;
}

export interface Running {
  readonly folders: Folders;
  /** One-time address of the console's set-up page; undefined once there is a staff member. */
  readonly setupUrl: string | undefined;
}

const startDeadlineMs = 60_000;
const drainDeadlineMs = 15_000;
/** Backends for control: its own pool, lifecycle operations, dumps, and room for a person with psql. */
const reservedConnections = 40;

/** Starts the database, control and the gateways in this order; `shutdown` stops them in the reverse one. */
export async function startAll(options: SupervisorOptions): Promise<Running> {
  const { config, env, log, shutdown, say, longestRestartMs = 10_000 } = options;
  for (const [host, port] of [
    [config.host, config.port],
    [config.consoleHost, config.consolePort],
  ] as const) {
    if (!(await isPortFree(host, port))) throw mainErrors.FH_PORT_TAKEN({ detail: `${host}:${port}` });
  }
  const users = ensureOsUsers();
  const folders = foldersOf(config.dataDir);
  ensureFolders(folders, users);
  if (!config.externalDatabase) await startCluster();

  const programDir = placeProgram(config.dataDir, users !== undefined);
  const manage = (name: string, role: 'control' | 'gateway'): ManagedProcess =>
    new ManagedProcess({
      name,
      role,
      programDir,
      env: environmentOf(role, config, env),
      logFile: join(folders.log, `${name}.log`),
      startDeadlineMs,
      longestRestartMs,
      isStopping: () => shutdown.isRunning,
      log,
    });

  say('starting control');
  const control = manage('control', 'control');
  shutdown.add('control', drainDeadlineMs + 5_000, () => control.stop(drainDeadlineMs));
  const facts = await control.start();
  publishCertificate(folders.caCertificate, String(facts.caCertificate));

  say(`starting ${config.workers} gateway${config.workers === 1 ? '' : 's'}`);
  const gateways = Array.from({ length: config.workers }, (_, index) => manage(`gateway-${index + 1}`, 'gateway'));
  shutdown.add('gateways', drainDeadlineMs + 5_000, async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop(drainDeadlineMs)));
  });
  await Promise.all(gateways.map((gateway) => gateway.start()));
  return { folders, setupUrl: typeof facts.setupUrl === 'string' ? facts.setupUrl : undefined };

  async function startCluster(): Promise<void> {
    const binaries = await findBinaries({ binDir: config.pgBinDir });
    const secret = ensureDatabaseSecret(folders, users?.control);
    const cluster = createCluster({
      dataDir: folders.cluster,
      socketDir: folders.databaseSocket,
      logFile: join(folders.clusterLogs, 'postgresql.log'),
      port: secret.port,
      osUser: users?.postgres,
      ownerUserName: users?.postgres.name ?? userInfo().username,
      maxConnections: config.backendBudget + reservedConnections,
      binaries,
      log,
    });
    // One at a time: a server that dies while it is being restarted is the running loop's business.
    let restarting = false;
    shutdown.add('PostgreSQL', 80_000, () => cluster.stop());
    cluster.onExit(({ expected }) => {
      if (!expected && !restarting) void restart(cluster);
    });
    say(`starting PostgreSQL ${binaries.version}`);
    await cluster.initialise();
    await cluster.start();
    await cluster.bootstrap({ controlPassword: secret.password });

    async function restart(server: Cluster): Promise<void> {
      restarting = true;
      for (let waitMs = Math.min(200, longestRestartMs); ; waitMs = Math.min(longestRestartMs, waitMs * 2)) {
        await delay(waitMs);
        if (shutdown.isRunning) return;
        try {
          await server.start();
          break;
        } catch (error) {
          log.error('PostgreSQL did not come back', { error });
        }
      }
      restarting = false;
    }
  }
}

/** What a child may see of our environment: the settings, and what programs need to run; nothing else that happens to be there. */
export function environmentOf(role: 'control' | 'gateway', config: Config, env: Env): Record<string, string> {
  const childEnv: Record<string, string> = { PATH: env.PATH ?? '/usr/bin:/bin', NODE_ENV: 'production' };
  for (const name of Object.keys(settings)) {
    const value = env[name];
    // Gateways face the internet and have no business with control's own way into the database.
    if (value !== undefined && !(role === 'gateway' && name.startsWith('FREEHOLD_DATABASE_URL')))
      childEnv[name] = value;
  }
  return {
    ...childEnv,
    FREEHOLD_DATA: config.dataDir,
    FREEHOLD_PORT: String(config.port),
    FREEHOLD_CONSOLE_PORT: String(config.consolePort),
  };
}

/** World-readable, because people hand it to their browsers; replaced whole. */
function publishCertificate(path: string, pem: string): void {
  writeFileSync(`${path}.new`, pem, { mode: 0o644 });
  renameSync(`${path}.new`, path);
}
