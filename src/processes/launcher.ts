import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, chown, lstat, mkdir, open, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isId, type Log, newId } from '#src/kernel/index.ts';
import type { ControlGroups, ProcessLimits } from './control-groups.ts';
import { processErrors } from './errors.ts';
import { createHolds } from './holds.ts';
import {
  builderPlace,
  firstAppUid,
  firstPluginUid,
  inside,
  madeUpEtc,
  pluginsApp,
  sandboxArgs,
  systemAuthorities,
} from './sandbox.ts';
import { systemCallFilter } from './system-calls.ts';
import type { AppFences } from './types.ts';

/** What the keeper may ask of the supervisor. Everything in it is checked here: the supervisor is root, the keeper is not. */
export interface LaunchRequest {
  /** `serve`, `migrate` and `run` are for a tenant with its folder, `lay-out` for one whose folder is being made, `plugin` for a tenant's own code without folder and database, `build` writes a version that is not finished. */
  readonly kind: 'serve' | 'migrate' | 'run' | 'lay-out' | 'plugin' | 'build';
  /** `ten_…`, or for a build any name of 1 to 64 of a–z, 0–9 and `-`. */
  readonly owner: string;
  readonly app: string;
  /** SHA-256 of the version's content, hex: the name of its folder. */
  readonly digest: string;
  readonly place: number;
  /** The PostgreSQL server of its tenant; undefined: the one that all share. */
  readonly cluster?: string | undefined;
  readonly limits: ProcessLimits;
  /** A host name that is the sandbox itself, and the port there: behind it is the app's provider. */
  readonly issuer?: { readonly host: string; readonly port: number };
}

export interface LauncherUsers {
  readonly keeper: { readonly uid: number; readonly gid: number };
  readonly gatewayGid: number;
  readonly controlUid: number;
  /** May reach PostgreSQL's sockets. */
  readonly sharedGid: number;
}

export interface LauncherOptions {
  readonly bubblewrap: string | undefined;
  /** undefined: a person started us. */
  readonly users: LauncherUsers | undefined;
  readonly node: string;
  /** `door.ts`, and what loads a plugin. */
  readonly doorProgram: string;
  readonly pluginProgram: string;
  /** Versions, as `APP/DIGEST`; tenants' writable folders; sandboxes' own folders. Only we write their first level. */
  readonly appsDir: string;
  readonly dataDir: string;
  readonly runDir: string;
  /** Of one PostgreSQL server: an app sees the sockets of no other. */
  readonly socketFoldersOf: (cluster: string | undefined) => readonly string[];
  /** PEM file of the installation's own authority, once there is one. */
  readonly authorityFile?: string;
  readonly groups: ControlGroups | undefined;
  readonly onEnded: (sandboxId: number) => void;
  readonly log: Log;
}

export interface Launcher {
  readonly fences: AppFences;
  /** Where the app's door and the link to the keeper are. FH_APP_SANDBOX_MISSING, FH_APP_LAUNCH_REFUSED. */
  prepare(request: LaunchRequest): Promise<{ readonly folder: string }>;
  /** After the keeper listens on `link/keeper.sock` in that folder. */
  launch(request: LaunchRequest): Promise<{ readonly sandboxId: number }>;
  /** Ends every process in it at once; resolves when none is left. */
  kill(sandboxId: number): Promise<void>;
  /** Removes what `prepare` made. */
  clear(request: LaunchRequest): Promise<void>;
  /** Whether the tenant's writable folder is there, whole. */
  hasData(tenantId: string): Promise<boolean>;
  /** What was laid out becomes the tenant's folder. */
  finishData(tenantId: string): Promise<void>;
  /** Bytes that the tenant's folder takes on the disk; undefined: nobody knows within some seconds. */
  measureData(tenantId: string): Promise<number | undefined>;
  /** The tenant's writable folder, for good. */
  removeData(tenantId: string): Promise<void>;
  /** What was built becomes the version: from here on nothing writes there. The one of an earlier build stays. */
  finishBuild(app: string, digest: string): Promise<void>;
  /** Finished or not. */
  removeVersion(app: string, digest: string): Promise<void>;
  killAll(): Promise<void>;
}

/** Of the run folder: these may go on beside each other. */
const suffixes = { serve: '', migrate: 'm', run: 'r', 'lay-out': 'r', plugin: 'p', build: '' } as const;
const namePattern = /^[a-z0-9][a-z0-9-]{0,63}$/;
/** It becomes a line of /etc/hosts. */
const hostPattern = /^(?=.{1,253}$)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+$/;
const measureDeadlineMs = 5_000;
const filterName = 'system-calls.bpf';
const authoritiesName = 'authorities.pem';

interface Sandbox {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

/** The supervisor's hands: starts sandboxes and ends them. It reads nothing that an app, a tenant or the network has written. */
export function createLauncher(options: LauncherOptions): Launcher {
  const { users, groups, log } = options;
  const sandboxes = new Map<number, Sandbox>();
  const filter = systemCallFilter(process.arch);
  const holds = createHolds();
  let count = 0;

  const foldersOf = ({ kind, owner, app, digest, place }: LaunchRequest) => ({
    // Short, because a unix socket's path holds 107 bytes at most (unix(7)).
    run: join(options.runDir, `${place}${suffixes[kind]}`),
    app: join(options.appsDir, app, kind === 'build' ? `${digest}.building` : digest),
    data: isBare(kind) ? undefined : join(options.dataDir, kind === 'lay-out' ? `${owner}.new` : owner),
  });

  function dataOf(tenantId: string): string {
    if (!isId('ten', tenantId)) throw processErrors.FH_APP_LAUNCH_REFUSED({ detail: 'not a tenant' });
    return join(options.dataDir, tenantId);
  }

  async function makeFolder(path: string, mode: number, uid?: number, gid?: number): Promise<void> {
    await mkdir(path, { recursive: true, mode });
    if (users && uid !== undefined && gid !== undefined) await chown(path, uid, gid);
    await chmod(path, mode);
  }

  /** Its outermost process has ended; what was in it ends with it, but perhaps a while later. */
  async function over(
    sandboxId: number,
    owner: string,
    group: string,
    complaint: { readonly text: string },
    release: () => void,
  ): Promise<void> {
    if (complaint.text !== '') log.error('a sandbox complained', { owner, text: complaint.text });
    try {
      await groups?.end(group);
    } catch (error) {
      log.error('a control group could not be removed', { owner, error });
    }
    sandboxes.delete(sandboxId);
    release();
    options.onEnded(sandboxId);
  }

  return {
    fences: {
      sandbox: options.bubblewrap !== undefined,
      users: users !== undefined,
      controlGroups: groups?.version ?? 0,
      systemCalls: filter !== undefined,
    },

    async prepare(request) {
      const { owner, kind } = check(request);
      if (!options.bubblewrap) throw processErrors.FH_APP_SANDBOX_MISSING();
      const { run, app, data } = foldersOf(request);
      const uid = uidOf(request);
      // Only we write on this level, so no name in it can be a link of somebody else's.
      await makeFolder(run, 0o711);
      await makeFolder(join(run, 'etc'), 0o755);
      for (const [name, text] of Object.entries(
        madeUpEtc(users ? uid : process.getuid!(), { hasNetwork: kind === 'build', host: request.issuer?.host }),
      ))
        await writeFile(join(run, 'etc', name), text, { mode: 0o644 });
      if (filter) await writeFile(join(run, 'etc', filterName), filter, { mode: 0o644 });
      if (request.issuer)
        await writeFile(join(run, 'etc', authoritiesName), await readAuthorities(options.authorityFile), {
          mode: 0o644,
        });
      await makeFolder(join(run, 'link'), 0o700, users?.keeper.uid, users?.keeper.gid);
      await makeFolder(join(run, 'http'), users ? 0o710 : 0o700, users?.keeper.uid, users?.gatewayGid);
      if (kind === 'lay-out') {
        await holds.alone(data!, async () => {
          await removeTree(data!);
          await makeFolder(data!, 0o700, uid, uid);
        });
      } else if (kind === 'build') await makeFolder(app, 0o755, uid, uid);
      else if (kind === 'plugin' && !(await isFolder(app))) throw processErrors.FH_APP_FOLDER_MISSING();
      else if (data !== undefined && !(await isFolder(data))) throw processErrors.FH_APP_FOLDER_MISSING();
      log.debug('prepared a sandbox', { owner });
      return { folder: run };
    },

    async launch(request) {
      const { kind, owner, limits } = check(request);
      if (!options.bubblewrap) throw processErrors.FH_APP_SANDBOX_MISSING();
      const { run, app, data } = foldersOf(request);
      const release = holds.share(data === undefined ? [app] : [app, data]);
      const sandboxId = ++count;
      const group = `${owner}-${sandboxId}`;
      try {
        const groupFolders = (await groups?.make(group, limits)) ?? [];
        const filterFile = filter && (await open(join(run, 'etc', filterName)));
        const args = sandboxArgs({
          bubblewrap: options.bubblewrap,
          isRoot: users !== undefined,
          node: options.node,
          doorProgram: options.doorProgram,
          pluginProgram: kind === 'plugin' ? options.pluginProgram : undefined,
          app: { folder: app, writable: kind === 'build' },
          dataFolder: data,
          runFolder: run,
          socketFolders: isBare(kind) ? [] : options.socketFoldersOf(request.cluster),
          memoryBytes: limits.memoryBytes,
          hasFilter: filter !== undefined,
          hasNetwork: kind === 'build',
          provider: request.issuer && {
            authorities: join(run, 'etc', authoritiesName),
            isLowPort: request.issuer.port < 1_024,
          },
        });
        const doorArgs = users ? [uidOf(request), users.keeper.uid, users.keeper.gid, users.sharedGid].map(String) : [];
        // The shell joins the groups before there is a second process that could be forgotten.
        const joining = groupFolders.map((folder) => `echo $$ >'${folder}/cgroup.procs' && `).join('');
        const command = [options.bubblewrap, ...args, '--', inside.node, inside.door, ...doorArgs];
        const child = spawn('/bin/sh', ['-c', `${joining}exec "$@"`, 'freehold-app', ...command], {
          env: {},
          cwd: '/',
          stdio: ['ignore', 'ignore', 'pipe', ...(filterFile ? [filterFile.fd] : [])],
        });
        const ended = new Promise<void>((resolve) => {
          child.once('exit', () => resolve());
          child.once('error', (error) => {
            log.error('a sandbox could not be started', { owner, error });
            resolve();
          });
        }).then(() => over(sandboxId, owner, group, complaint, release));
        const complaint = firstWords(child);
        sandboxes.set(sandboxId, { child, ended });
        await filterFile?.close();
        return { sandboxId };
      } catch (error) {
        release();
        throw error;
      }
    },

    async kill(sandboxId) {
      const sandbox = sandboxes.get(sandboxId);
      sandbox?.child.kill('SIGKILL');
      await sandbox?.ended;
    },

    async clear(request) {
      const { run } = foldersOf(check(request));
      await rm(join(run, 'etc'), { recursive: true, force: true });
      // Not what lies in them: they are the keeper's, who may have put anything there.
      for (const folder of [join(run, 'link'), join(run, 'http'), run]) await rmdir(folder).catch(() => undefined);
    },

    hasData: (tenantId) => isFolder(dataOf(tenantId)),

    async finishData(tenantId) {
      const folder = dataOf(tenantId);
      await holds.alone(`${folder}.new`, () => rename(`${folder}.new`, folder));
      await flushFolder(options.dataDir);
    },

    measureData: (tenantId) => measureTree(dataOf(tenantId)),

    async removeData(tenantId) {
      for (const folder of [`${dataOf(tenantId)}.new`, dataOf(tenantId)])
        await holds.alone(folder, () => removeTree(folder));
    },

    async finishBuild(app, digest) {
      const { app: folder } = foldersOf(checkVersion('build', app, digest));
      await holds.alone(folder, () =>
        rename(folder, join(options.appsDir, app, digest)).catch(async (error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
          await removeTree(folder);
        }),
      );
      await flushFolder(join(options.appsDir, app));
    },

    async removeVersion(app, digest) {
      for (const kind of ['build', 'serve'] as const) {
        const { app: folder } = foldersOf(checkVersion(kind, app, digest));
        await holds.alone(folder, () => removeTree(folder));
      }
    },

    async killAll() {
      for (const { child } of sandboxes.values()) child.kill('SIGKILL');
      await Promise.all([...sandboxes.values()].map(({ ended }) => ended));
    },
  };
}

/** By descriptors, which rm(1) does and Node.js does not: whatever is renamed meanwhile, it leads nowhere else. */
async function removeTree(path: string): Promise<void> {
  await promisify(execFile)('/bin/rm', ['-rf', '--one-file-system', '--', path], { env: {} });
}

/** By descriptors as well, and never into another file system. What vanishes meanwhile makes it complain, and counts for nothing. */
async function measureTree(path: string): Promise<number | undefined> {
  const du = spawn('/usr/bin/du', ['--summarize', '--one-file-system', '--block-size=1', '--', path], {
    env: {},
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: measureDeadlineMs,
    killSignal: 'SIGKILL',
  });
  du.once('error', () => undefined);
  let said = '';
  for await (const chunk of du.stdout) said += chunk;
  const bytes = /^(\d+)\t/.exec(said)?.[1];
  return bytes === undefined ? undefined : Number(bytes);
}

/** Whom the machine trusts, and our own authority. Which of them has signed the certificate of the tenant's host, the gateway knows. */
async function readAuthorities(own: string | undefined): Promise<string> {
  const files = [systemAuthorities, ...(own === undefined ? [] : [own])];
  return (await Promise.all(files.map((path) => readFile(path, 'utf8').catch(() => '')))).join('\n');
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false;
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Of bubblewrap and of our door-keeper; the app's own go to the keeper. */
function firstWords(child: ChildProcess): { text: string } {
  const words = { text: '' };
  child.stderr?.on('data', (chunk: Buffer) => {
    if (words.text.length < 2_000) words.text += chunk.toString();
  });
  return words;
}

function requireOwner(owner: string): void {
  if (!isId('ten', owner) && !namePattern.test(owner))
    throw processErrors.FH_APP_LAUNCH_REFUSED({ detail: 'malformed owner' });
}

function checkVersion(wanted: 'build' | 'serve', app: string, digest: string): LaunchRequest {
  const kind = wanted === 'serve' && app === pluginsApp ? 'plugin' : wanted;
  const limits = { memoryBytes: 2 ** 30, cpus: 1, processes: 64 };
  const owner = kind === 'build' ? 'build' : newId('ten');
  return check({ kind, owner, app, digest, place: kind === 'build' ? builderPlace : 0, limits });
}

/** Neither folder nor database. */
function isBare(kind: LaunchRequest['kind']): boolean {
  return kind === 'build' || kind === 'plugin';
}

function uidOf({ kind, place }: LaunchRequest): number {
  return (kind === 'plugin' ? firstPluginUid : firstAppUid) + place;
}

/** Nothing in it may lead elsewhere than to what it names. */
function check(request: LaunchRequest): LaunchRequest {
  const { kind, owner, app, digest, place, cluster, limits } = request;
  const refuse = (detail: string) => processErrors.FH_APP_LAUNCH_REFUSED({ detail });
  if (!Object.hasOwn(suffixes, kind)) throw refuse('unknown kind');
  requireOwner(String(owner));
  if ((kind === 'build') === isId('ten', owner)) throw refuse('an owner of another kind');
  if (typeof app !== 'string' || !namePattern.test(app)) throw refuse('malformed name of an app');
  // Code of a plugin is run as a plugin only, and as nothing else.
  if (kind !== 'build' && (app === pluginsApp) !== (kind === 'plugin')) throw refuse('an app of another kind');
  if (kind === 'plugin' && (request.issuer || cluster !== undefined)) throw refuse('what a plugin does not have');
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest)) throw refuse('malformed digest');
  const isPlace = Number.isInteger(place) && place >= 0 && place <= builderPlace;
  if (!isPlace || (place === builderPlace) !== (kind === 'build')) throw refuse('a place that is not one');
  if (request.issuer) {
    const { host, port } = request.issuer;
    if (typeof host !== 'string' || !hostPattern.test(host)) throw refuse('malformed host');
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refuse('a port that is not one');
  }
  if (cluster !== undefined && !/^c[0-9a-hjkmnp-tv-z]{8}$/.test(cluster)) throw refuse('malformed name of a server');
  const { memoryBytes, cpus, processes } = limits ?? {};
  if (!(Number.isInteger(memoryBytes) && memoryBytes >= 2 ** 24 && memoryBytes <= 2 ** 40)) throw refuse('memory');
  if (!(typeof cpus === 'number' && cpus >= 0.05 && cpus <= 1_024)) throw refuse('cpus');
  if (!(Number.isInteger(processes) && processes >= 8 && processes <= 100_000)) throw refuse('processes');
  return request;
}
