import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mainErrors } from './errors.ts';

/**
 * The operating-system users of the parts. Started as root, every part but the supervisor runs as its own user, so that what belongs to one
 * cannot be read by another (proved by test/acceptance/fences.test.ts). Started by a person, there is one user and no fence between the parts.
 */
export const osUserNames = {
  postgres: 'freehold-postgres',
  standby: 'freehold-standby',
  control: 'freehold-control',
  gateway: 'freehold-gateway',
  shipper: 'freehold-shipper',
  apps: 'freehold-apps',
} as const;
const groupNames = { shared: 'freehold', files: 'freehold-files', regions: 'freehold-regions' } as const;
export type Part = keyof typeof osUserNames;

export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}
export interface OsUsers {
  /** Of the data folder `pg/main`. */
  readonly postgres: OsUser;
  /** Of the data folder `pg/standby`. */
  readonly standby: OsUser;
  readonly control: OsUser;
  readonly gateway: OsUser;
  /** Ships WAL. */
  readonly shipper: OsUser;
  /** Keeps apps that are processes; each of those runs as a user of its own. */
  readonly apps: OsUser;
  /** Group `freehold` of all of them: may enter the folder of the database's socket. */
  readonly sharedGid: number;
  /** Group `freehold-files` of control and gateway: tenants' sealed files are written and read by both. */
  readonly filesGid: number;
  /** Group `freehold-regions` of control and shipper: they write sealed objects into regions that are folders. */
  readonly regionsGid: number;
}

/** The groups of a part besides its own. */
export function groupsOf(part: Part, { sharedGid, filesGid, regionsGid }: OsUsers): number[] {
  if (part === 'control') return [sharedGid, filesGid, regionsGid];
  if (part === 'gateway') return [sharedGid, filesGid];
  return part === 'shipper' ? [sharedGid, regionsGid] : [sharedGid];
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Finds the users, creating what is missing; undefined when a person started us. */
export function ensureOsUsers(): OsUsers | undefined {
  if (!isRoot()) return undefined;
  for (const group of Object.values(groupNames))
    if (findGroup(group) === undefined) run('groupadd', ['--system', group]);
  for (const name of Object.values(osUserNames)) {
    if (!findUser(name)) makeUser(name);
  }
  return findOsUsers();
}

/**
 * The same with users of their own for one more server and its standby, creating what is missing.
 * @param slot from 1; installations on one machine share the users, as they share all others
 */
export function ensureServerUsers(users: OsUsers, slot: number): OsUsers {
  const names = [`freehold-private-${slot}`, `freehold-private-${slot}s`] as const;
  for (const name of names) if (!findUser(name)) makeUser(name);
  return { ...users, postgres: getUser(names[0]), standby: getUser(names[1]) };
}

/** The users when they all exist; undefined when a person started us. Throws FH_OS_USER when one is missing. */
export function findOsUsers(): OsUsers | undefined {
  if (!isRoot()) return undefined;
  const getGroup = (name: string): number => {
    const gid = findGroup(name);
    if (gid === undefined) throw mainErrors.FH_OS_USER({ detail: `there is no group ${name}` });
    return gid;
  };
  return {
    postgres: getUser(osUserNames.postgres),
    standby: getUser(osUserNames.standby),
    control: getUser(osUserNames.control),
    gateway: getUser(osUserNames.gateway),
    shipper: getUser(osUserNames.shipper),
    apps: getUser(osUserNames.apps),
    sharedGid: getGroup(groupNames.shared),
    filesGid: getGroup(groupNames.files),
    regionsGid: getGroup(groupNames.regions),
  };
}

function makeUser(name: string): void {
  const closed = ['--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin'];
  run('useradd', ['--system', '--user-group', '--groups', groupNames.shared, ...closed, name]);
}

/** Gives up root for good: groups first, then the user; checked afterwards, because a silent failure would leave us root. */
export function dropPrivileges(user: OsUser, groups: readonly number[]): void {
  process.setgroups!([...groups]);
  process.setgid!(user.gid);
  process.setuid!(user.uid);
  if (process.getuid!() !== user.uid || process.getgid!() !== user.gid || process.geteuid!() !== user.uid)
    throw mainErrors.FH_OS_USER({ detail: `could not become ${user.name}` });
}

function getUser(name: string): OsUser {
  const user = findUser(name);
  if (!user) throw mainErrors.FH_OS_USER({ detail: `there is no user ${name}` });
  return user;
}

function findUser(name: string): OsUser | undefined {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [entry, , uid, gid] = line.split(':');
    if (entry === name) return { name, uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

function findGroup(name: string): number | undefined {
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [entry, , gid] = line.split(':');
    if (entry === name) return Number(gid);
  }
  return undefined;
}

function run(command: string, args: string[]): void {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    // Two installations may start at once: whoever comes second finds the user there.
    const name = args.at(-1)!;
    if (findUser(name) || findGroup(name) !== undefined) return;
    throw mainErrors.FH_OS_USER({
      detail: `${command} ${name} failed`,
      hint: 'Create it by hand, or start Freehold as a person.',
      cause: error,
    });
  }
}
