import { createHash } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { mainErrors } from './errors.ts';
import type { OsUser, OsUsers } from './os-users.ts';

/** Of one PostgreSQL server and its standby. */
export interface ClusterFolders {
  readonly cluster: string;
  readonly clusterLogs: string;
  /** The second data folder of the cluster. Which of the two is the primary's, `clusterRoles` says. */
  readonly standby: string;
  readonly standbyLogs: string;
  readonly clusterRoles: string;
  /** Where servers of the cluster find the way to their primary: one password file per user. */
  readonly clusterAccess: string;
  readonly handover: string;
  /** The primary is found here, whichever folder it runs on: a link to the socket of one of the next two. */
  readonly databaseSocket: string;
  readonly clusterSocket: string;
  readonly standbySocket: string;
  /** How the standby is, by the supervisor for everybody. */
  readonly standbyStatus: string;
  readonly databaseSecret: string;
  /** Its id in backups, by control for the program that opens them while control may not be there. */
  readonly clusterIdFile: string;
  /** Sealed WAL on its way to the regions. */
  readonly spool: string;
  readonly shipperRun: string;
  readonly shipperSocket: string;
}

/** Where everything lies; docs/architecture.md says who owns what. All paths are absolute. */
export interface Folders extends ClusterFolders {
  readonly data: string;
  /** Holds servers that are there for one tenant (docs/decisions/0044), each under its name. */
  readonly clusters: string;
  /** Sockets of this run; elsewhere when the data folder's path is too long for them. */
  readonly run: string;
  readonly controlRun: string;
  readonly linkSocket: string;
  /** Gateways ask about backups here, and take dumps out. */
  readonly backupsSocket: string;
  readonly commandSocket: string;
  /** The supervisor's own, for what must work without control. */
  readonly supervisorSocket: string;
  readonly keys: string;
  readonly control: string;
  readonly exports: string;
  readonly authority: string;
  readonly tls: string;
  readonly caCertificate: string;
  readonly files: string;
  /** Holds the regions that are folders of ours. */
  readonly regions: string;
  /** Servers that are there for one restore. */
  readonly scratch: string;
  readonly log: string;
  /** Versions of apps that are processes, as APP/VERSION. */
  readonly apps: string;
  /** Writable folders of such apps, by tenant. */
  readonly appData: string;
  readonly appLogs: string;
  /** What was sent to become a version. */
  readonly appsIncoming: string;
  readonly appsRun: string;
  /** Of sockets of gateways, where apps ask their provider; the keeper passes them on. */
  readonly backChannel: string;
  /** Gateways and control ask for apps here. */
  readonly appsSocket: string;
  /** The keeper asks control what to run. */
  readonly appSpecsSocket: string;
  /** Bytes of tasks in sandboxes. */
  readonly appStreamsSocket: string;
  /** The keeper runs plugins that control orders here. */
  readonly pluginsSocket: string;
  /** Sandboxes' own folders. */
  readonly sandboxes: string;
}

/** A unix socket's path holds 107 bytes at most (unix(7)); `/.s.PGSQL.5432.lock` follows the folder. */
const longestSocketFolder = 80;

/** @param cluster whose servers' folders are meant; all else is the same for every one */
export function foldersOf(dataDir: string, cluster = 'main'): Folders {
  const short = join('/run', `freehold-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`);
  const home =
    process.getuid?.() === 0 ? short : join('/tmp', `${short.slice('/run/'.length)}-${process.getuid?.() ?? 0}`);
  const run =
    Buffer.byteLength(join(dataDir, 'run', 'c12345678', 'pg-standby')) > longestSocketFolder
      ? home
      : join(dataDir, 'run');
  return {
    ...clusterFoldersOf(dataDir, run, cluster),
    data: dataDir,
    clusters: join(dataDir, 'clusters'),
    run,
    controlRun: join(run, 'control'),
    linkSocket: join(run, 'control', 'link.sock'),
    backupsSocket: join(run, 'control', 'backups.sock'),
    commandSocket: join(run, 'control', 'command.sock'),
    supervisorSocket: join(run, 'supervisor.sock'),
    keys: join(dataDir, 'keys'),
    control: join(dataDir, 'control'),
    exports: join(dataDir, 'control', 'exports'),
    authority: join(dataDir, 'control', 'authority'),
    tls: join(dataDir, 'tls'),
    caCertificate: join(dataDir, 'ca.crt'),
    files: join(dataDir, 'files'),
    regions: join(dataDir, 'regions'),
    scratch: join(dataDir, 'scratch'),
    log: join(dataDir, 'log'),
    apps: join(dataDir, 'apps'),
    appData: join(dataDir, 'app-data'),
    appLogs: join(dataDir, 'app-logs'),
    appsIncoming: join(dataDir, 'apps-incoming'),
    appsRun: join(run, 'apps'),
    backChannel: join(run, 'back'),
    appsSocket: join(run, 'apps', 'link.sock'),
    appSpecsSocket: join(run, 'app-specs', 'link.sock'),
    appStreamsSocket: join(run, 'app-specs', 'streams.sock'),
    pluginsSocket: join(run, 'app-specs', 'plugins.sock'),
    sandboxes: join(run, 'box'),
  };
}

/**
 * Of another cluster of the same run. Not `foldersOf` once more: the place of sockets is the one of whoever began the run, and this
 * process may have become another user since.
 */
export const foldersOfCluster = (folders: Folders, cluster = 'main'): Folders => ({
  ...folders,
  ...clusterFoldersOf(folders.data, folders.run, cluster),
});

function clusterFoldersOf(dataDir: string, run: string, cluster: string): ClusterFolders {
  const isMain = cluster === 'main';
  const home = isMain ? dataDir : join(dataDir, 'clusters', cluster);
  const runHome = isMain ? run : join(run, cluster);
  return {
    cluster: join(home, 'pg', 'main'),
    clusterLogs: join(home, 'pg', 'logs'),
    standby: join(home, 'pg', 'standby'),
    standbyLogs: join(home, 'pg', 'standby-logs'),
    clusterRoles: join(home, 'pg', 'roles.json'),
    clusterAccess: join(home, 'pg', 'access'),
    handover: join(home, 'pg', 'handover'),
    databaseSocket: join(runHome, 'pg'),
    clusterSocket: join(runHome, 'pg-main'),
    standbySocket: join(runHome, 'pg-standby'),
    standbyStatus: join(runHome, 'standby.json'),
    databaseSecret: join(dataDir, 'control', isMain ? 'database.json' : `database-${cluster}.json`),
    clusterIdFile: join(dataDir, 'control', `${cluster}.cluster-id`),
    spool: join(home, 'spool'),
    shipperRun: join(runHome, 'shipper'),
    shipperSocket: join(runHome, 'shipper', 'link.sock'),
  };
}

const marker = 'FREEHOLD';
const root: OsUser = { name: 'root', uid: 0, gid: 0 };

/**
 * Creates what is missing and sets owners and modes on everything; safe to repeat. Regions elsewhere than in our own folder are not made: a disk
 * that is not mounted must not be replaced by an empty folder.
 */
export function ensureFolders(
  folders: Folders,
  users: OsUsers | undefined,
  regionFolders: readonly string[] = [],
): void {
  const me: OsUser | undefined = undefined;
  const { control, gateway, shipper, apps, filesGid, regionsGid } = users ?? {};
  claimDataFolder(folders.data);
  make(folders.data, 0o711, me);
  make(folders.run, 0o711, me);
  make(folders.clusters, 0o711, me);
  make(folders.controlRun, users ? 0o710 : 0o700, control, gateway?.gid);
  make(folders.keys, 0o700, control);
  make(folders.control, 0o700, control);
  make(folders.exports, 0o700, control);
  make(folders.tls, 0o700, gateway);
  make(folders.files, users ? 0o2770 : 0o700, gateway, filesGid);
  ensureClusterFolders(folders, users);
  make(folders.scratch, 0o700, control);
  make(folders.regions, 0o711, me);
  for (const location of regionFolders)
    if (dirname(location) === folders.regions) make(location, users ? 0o2770 : 0o700, shipper, regionsGid);
    else if (shipper) giveEmptyRegion(location, shipper, regionsGid);
  make(folders.log, 0o700, me);
  make(folders.apps, 0o711, me);
  make(folders.appData, 0o711, me);
  make(folders.sandboxes, 0o711, me);
  make(folders.appLogs, 0o700, apps);
  make(folders.appsIncoming, 0o700, control);
  make(folders.backChannel, users ? 0o750 : 0o700, gateway, apps?.gid);
  make(folders.appsRun, users ? 0o710 : 0o700, apps, gateway?.gid);
  make(dirname(folders.appSpecsSocket), users ? 0o710 : 0o700, control, apps?.gid);
  if (users)
    for (const user of [users.postgres, users.standby, users.control, users.gateway, users.shipper, users.apps])
      checkReachable(folders.data, user);
}

/** What one server and its standby need, in the same manner. @param users whose servers run as users of their own */
export function ensureClusterFolders(folders: ClusterFolders, users: OsUsers | undefined): void {
  const me: OsUser | undefined = undefined;
  const { postgres, standby, control, shipper, sharedGid } = users ?? {};
  make(dirname(folders.cluster), 0o711, me);
  make(folders.clusterLogs, 0o700, postgres);
  make(folders.standbyLogs, 0o700, standby);
  make(folders.clusterAccess, 0o711, me);
  make(dirname(folders.databaseSocket), 0o711, me);
  // Only the supervisor says where the link in it leads.
  make(folders.databaseSocket, users ? 0o710 : 0o700, users && root, sharedGid);
  make(folders.clusterSocket, users ? 0o710 : 0o700, postgres, sharedGid);
  make(folders.standbySocket, users ? 0o710 : 0o700, standby, sharedGid);
  make(folders.shipperRun, users ? 0o710 : 0o700, control, shipper?.gid);
  make(folders.spool, 0o700, shipper);
}

/** Refuses a folder that holds something else: a wrong --data must not scatter files over a home folder. */
function claimDataFolder(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o711 });
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw mainErrors.FH_DATA_UNREACHABLE({
      detail: `cannot create or write ${dataDir}`,
      hint: 'Choose another folder with --data DIR.',
      cause: error,
    });
  }
  const path = join(dataDir, marker);
  if (!existsSync(path)) {
    if (readdirSync(dataDir).length > 0) throw mainErrors.FH_DATA_FOREIGN({ detail: dataDir });
    writeFileSync(path, 'data folder of Freehold, layout 1\n', { mode: 0o644 });
  } else if (!readFileSync(path, 'utf8').includes('layout 1')) {
    throw mainErrors.FH_DATA_UNREACHABLE({ detail: `${dataDir} was written by another version of Freehold` });
  }
}

function make(path: string, mode: number, owner: OsUser | undefined, gid?: number): void {
  mkdirSync(path, { recursive: true, mode });
  const folder = openFolder(path);
  try {
    if (owner) fchownSync(folder, owner.uid, gid ?? owner.gid);
    fchmodSync(folder, mode);
  } finally {
    closeSync(folder);
  }
}

/** An empty folder of root's, as an operator makes it or mounts it, becomes the shipper's. Whatever else is wrong with it, the region says. */
function giveEmptyRegion(location: string, shipper: OsUser, gid: number | undefined): void {
  let folder: number | undefined;
  try {
    folder = openSync(location, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const isEmpty = readdirSync(`/proc/self/fd/${folder}`).every((name) => name === 'lost+found');
    if (fstatSync(folder).uid !== 0 || !isEmpty) return;
    fchownSync(folder, shipper.uid, gid ?? shipper.gid);
    fchmodSync(folder, 0o2770);
  } catch {
    // Not there, not a folder, or a file system on which root may not do that.
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}

/** By descriptor, because a part's user may replace what lies in its own folder at any moment: a symbolic link would lead root elsewhere. */
function openFolder(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw mainErrors.FH_DATA_UNREACHABLE({ detail: `${path} is not a folder of ours`, cause });
  }
}

/** Every folder above must let the other users pass. */
function checkReachable(dataDir: string, user: OsUser): void {
  for (let folder = dataDir; ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const passes = mode & 0o001 || (uid === user.uid && mode & 0o100) || (gid === user.gid && mode & 0o010);
    if (!passes)
      throw mainErrors.FH_DATA_UNREACHABLE({
        detail: `${folder} is closed to other users, and the parts of Freehold run as users of their own (${user.name})`,
        hint: `Choose a folder outside with --data DIR, or open the way: chmod o+x ${folder}`,
      });
    if (folder === '/') return;
  }
}
