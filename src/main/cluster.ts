import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import {
  type ClusterPair,
  type ClusterPairOptions,
  createClusterPair,
  type FailoverReport,
  findBinaries,
  type MemberOptions,
} from '#src/clusters/index.ts';
import type { Log } from '#src/kernel/index.ts';
import type { Config } from './config.ts';
import type { Folders } from './folders.ts';
import type { OsUser, OsUsers } from './os-users.ts';
import { ensureDatabaseSecret, ensureReplicationSecret, writeReplicationPassFile } from './secrets.ts';

/** Backends for control: its own pool, lifecycle operations, dumps, and room for a person with psql. */
const reservedConnections = 40;

export interface EmbeddedClusterOptions {
  readonly config: Config;
  readonly folders: Folders;
  readonly users: OsUsers | undefined;
  readonly isStopping: () => boolean;
  readonly onFailover: (report: FailoverReport) => void;
  /** undefined: nothing is shipped. */
  readonly openShippedWal: ClusterPairOptions['openShippedWal'];
  readonly longestRestartMs: number;
  /** Told what a long shutdown waits for. */
  readonly onWaiting: (text: string) => void;
  /** Of the server's caches. Default: by the machine's memory. */
  readonly memoryBytes?: number;
  /** Default: all that gateways and apps may have. */
  readonly connections?: number;
  readonly log: Log;
}

/** A cluster: two data folders, each with a user of its own, seen as one server. `folders` say which. */
export async function createEmbeddedCluster(options: EmbeddedClusterOptions): Promise<ClusterPair> {
  const { config, folders, users, isStopping, onFailover, openShippedWal, longestRestartMs, onWaiting, log } = options;
  const binaries = await findBinaries({ binDir: config.pgBinDir });
  const { port, password: controlPassword } = ensureDatabaseSecret(folders, users?.control);
  const replicationPassword = ensureReplicationSecret(folders);
  writeReplicationPassFile(folders, 'shipper', replicationPassword, users?.shipper);
  writeReplicationPassFile(folders, 'control', replicationPassword, users?.control);
  // With the shared group as their own, because the one that follows must come to the other's socket; files are closed to groups.
  const serverUser = (user: OsUser | undefined) => user && users && { ...user, gid: users.sharedGid };
  const member = (name: string, osUser: OsUser | undefined, dataDir: string, socketDir: string, logs: string) =>
    ({
      dataDir,
      socketDir,
      logFile: join(logs, 'postgresql.log'),
      osUser,
      ownerUserName: osUser?.name ?? userInfo().username,
      passFile: writeReplicationPassFile(folders, name, replicationPassword, osUser),
    }) satisfies MemberOptions;
  return createClusterPair({
    members: {
      main: member('main', serverUser(users?.postgres), folders.cluster, folders.clusterSocket, folders.clusterLogs),
      standby: member(
        'standby',
        serverUser(users?.standby),
        folders.standby,
        folders.standbySocket,
        folders.standbyLogs,
      ),
    },
    rolesFile: folders.clusterRoles,
    socketDir: folders.databaseSocket,
    handoverDir: folders.handover,
    openShippedWal,
    port,
    maxConnections: (options.connections ?? config.backendBudget + config.appsConnections) + reservedConnections,
    ...(options.memoryBytes !== undefined && { memoryBytes: options.memoryBytes }),
    binaries,
    controlPassword,
    replicationPassword,
    standby: config.standby,
    failover: config.failover,
    isStopping,
    onChange: (status) => publish(folders.standbyStatus, `${JSON.stringify(status)}\n`),
    onFailover,
    longestRestartMs,
    onWaiting,
    log,
  });
}

/** World-readable unless told otherwise, replaced whole; nothing in it is secret. */
export function publish(path: string, content: string, mode = 0o644): void {
  writeFileSync(`${path}.new`, content, { mode });
  // Whatever our umask is.
  chmodSync(`${path}.new`, mode);
  renameSync(`${path}.new`, path);
}
