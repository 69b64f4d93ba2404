import { lstatSync } from 'node:fs';
import { join } from 'node:path';

/** Above every range that systemd's "Users, Groups, UIDs and GIDs on systemd Systems" lists as in use. */
export const firstAppUid = 1_879_048_192;
/** Plugins have numbers of their own (`plugins.place`), beside those of apps. */
export const firstPluginUid = firstAppUid + 65_536;
/** Among apps, where packages of plugins lie: no app is called so, because their names begin with a letter. */
export const pluginsApp = '0-plugins';
/** Whoever builds versions; places of tenants stay below. */
export const builderPlace = 65_535;

const capabilities = ['CAP_SETUID', 'CAP_SETGID', 'CAP_DAC_OVERRIDE'] as const;

/** Debian's, and of many others. */
export const systemAuthorities = '/etc/ssl/certs/ca-certificates.crt';

/** Where bubblewrap reads the filter of system calls. */
export const filterDescriptor = 3;

/** Names inside the sandbox. */
export const inside = {
  app: '/app',
  data: '/data',
  node: '/freehold/bin/node',
  door: '/freehold/door.mts',
  runner: '/freehold/runner.mts',
  link: '/freehold/link',
  http: '/freehold/http',
  sockets: '/freehold/sockets',
  authorities: '/freehold/authorities.pem',
} as const;

export interface SandboxPlan {
  /** Program `bwrap`. */
  readonly bubblewrap: string;
  /** What the supervisor runs as: root gives real users inside, a person has one user inside and out. */
  readonly isRoot: boolean;
  /** Node.js, and our door-keeper's program. */
  readonly node: string;
  readonly doorProgram: string;
  /** What loads a plugin; undefined: it is none. */
  readonly pluginProgram: string | undefined;
  /** The version of the app; `writable` only while it is built. */
  readonly app: { readonly folder: string; readonly writable: boolean };
  /** undefined: nothing is kept (a build). */
  readonly dataFolder: string | undefined;
  /** Ours, made for this sandbox: `etc` (read by all), `link` (to the keeper), `http` (the app's door). */
  readonly runFolder: string;
  /** Folders of PostgreSQL's sockets, all side by side, because the first holds a link into the others. */
  readonly socketFolders: readonly string[];
  /** Also the size of each folder that lies in memory. */
  readonly memoryBytes: number;
  /** Whether descriptor 3 holds the filter of system calls. */
  readonly hasFilter: boolean;
  /** Only builds reach the internet. */
  readonly hasNetwork: boolean;
  /** For an app that has a provider: a PEM file of certificate authorities, and whether the port where it finds it needs a right to be listened on. */
  readonly provider?: { readonly authorities: string; readonly isLowPort: boolean } | undefined;
}

/**
 * Arguments of bubblewrap: what the sandbox sees and what it shares with the machine. Nothing is there that is not named here.
 * Tested in sandbox.test.ts and by what an app inside can do, in escape.test.ts. (bwrap(1))
 */
export function sandboxArgs(plan: SandboxPlan): string[] {
  const { app, runFolder, isRoot } = plan;
  return [
    '--unshare-ipc',
    '--unshare-pid',
    '--unshare-uts',
    '--unshare-cgroup-try',
    ...(plan.hasNetwork ? [] : ['--unshare-net']),
    // The door-keeper becomes the app's user and then its own; both are without any capability afterwards.
    // Without `drop` it would keep all that root has. The third is for the keeper's folders, which are closed even to root without it.
    ...(isRoot ? ['--cap-drop', 'ALL', ...capabilities.flatMap((one) => ['--cap-add', one])] : ['--unshare-user']),
    // In a network of its own; the door-keeper has it until it becomes nobody, the app never (back-channel.test.ts).
    ...(plan.provider?.isLowPort ? ['--cap-add', 'CAP_NET_BIND_SERVICE'] : []),
    '--die-with-parent',
    // No terminal of ours to push input into (TIOCSTI).
    '--new-session',
    '--hostname',
    'app',
    '--clearenv',
    ...(plan.hasFilter ? ['--seccomp', String(filterDescriptor)] : []),
    ...systemFolders(),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--size',
    String(plan.memoryBytes),
    '--perms',
    '1777',
    '--tmpfs',
    '/tmp',
    '--size',
    String(plan.memoryBytes),
    '--perms',
    '1777',
    '--tmpfs',
    '/dev/shm',
    '--perms',
    '0755',
    '--dir',
    '/etc',
    ...madeUpFiles.flatMap((name) => readOnly(join(runFolder, 'etc', name), `/etc/${name}`)),
    ...(plan.hasNetwork ? readOnly('/etc/resolv.conf', '/etc/resolv.conf') : []),
    ...systemConfiguration(),
    // For programs that ask no variable whom to trust.
    ...(plan.provider && isFile(systemAuthorities) ? readOnly(plan.provider.authorities, systemAuthorities) : []),
    app.writable ? '--bind' : '--ro-bind',
    app.folder,
    inside.app,
    ...(plan.dataFolder === undefined ? [] : ['--bind', plan.dataFolder, inside.data]),
    '--perms',
    '0755',
    '--dir',
    '/freehold',
    '--perms',
    '0755',
    '--dir',
    '/freehold/bin',
    ...readOnly(plan.node, inside.node),
    ...readOnly(plan.doorProgram, inside.door),
    ...(plan.provider ? readOnly(plan.provider.authorities, inside.authorities) : []),
    ...(plan.pluginProgram === undefined ? [] : readOnly(plan.pluginProgram, inside.runner)),
    '--bind',
    join(runFolder, 'link'),
    inside.link,
    '--bind',
    join(runFolder, 'http'),
    inside.http,
    '--perms',
    '0755',
    '--dir',
    inside.sockets,
    ...plan.socketFolders.flatMap((folder) => readOnly(folder, join(inside.sockets, nameOf(folder)))),
    '--chdir',
    inside.app,
    '--remount-ro',
    '/',
  ];
}

const readOnly = (from: string, to: string): string[] => ['--ro-bind', from, to];
const isFile = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** `/usr`, and what on this system leads into it or lies beside it. */
function systemFolders(): string[] {
  const merged = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].flatMap((path) => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found) return [];
    return found.isSymbolicLink() ? ['--symlink', `usr${path}`, path] : readOnly(path, path);
  });
  return [...readOnly('/usr', '/usr'), ...merged];
}

/** Of `/etc` only what programs need to be loaded, to check certificates and to know the time of day. */
function systemConfiguration(): string[] {
  return ['alternatives', 'ld.so.cache', 'localtime', 'ssl', 'ca-certificates', 'pki', 'mime.types'].flatMap((name) => [
    '--ro-bind-try',
    `/etc/${name}`,
    `/etc/${name}`,
  ]);
}

const madeUpFiles = ['passwd', 'group', 'hosts', 'nsswitch.conf'] as const;

/** The made-up part of `/etc`, by file name. @param uid of the app @param host a name of the sandbox itself */
export function madeUpEtc(
  uid: number,
  { hasNetwork, host }: { readonly hasNetwork: boolean; readonly host?: string | undefined },
): Record<(typeof madeUpFiles)[number], string> {
  return {
    passwd: `root:x:0:0::/:/usr/sbin/nologin\napp:x:${uid}:${uid}::${inside.data}:/bin/sh\n`,
    group: `root:x:0:\napp:x:${uid}:\n`,
    hosts: `127.0.0.1 localhost app\n::1 localhost\n${host === undefined ? '' : `127.0.0.1 ${host}\n`}`,
    'nsswitch.conf': `passwd: files\ngroup: files\nhosts: files${hasNetwork ? ' dns' : ''}\n`,
  };
}
