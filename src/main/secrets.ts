import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { randomBytes, randomName } from '#src/kernel/index.ts';
import { parseSmtpServer, type SmtpServer } from '#src/mail/index.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';
import { readAuthorities } from './authorities.ts';
import type { Config, Env } from './config.ts';
import { mainErrors } from './errors.ts';
import type { Folders } from './folders.ts';
import type { OsUser } from './os-users.ts';

export const controlRole = 'freehold_control';
export const controlDatabase = 'freehold_control';
const replicationRole = 'freehold_replication';
/** Any host, port and database (PostgreSQL manual, "The Password File"). */
const replicationPrefix = `*:*:*:${replicationRole}:`;
/** Only part of the name of the embedded cluster's socket. */
const clusterPort = 5432;

/** The embedded cluster's way in for control: made at the first start, kept in a file that only control's user reads. */
export function ensureDatabaseSecret(folders: Folders, owner: OsUser | undefined): ConnectionTarget {
  if (!existsSync(folders.databaseSecret)) {
    const target = { port: clusterPort, database: controlDatabase, user: controlRole, password: newSecret() };
    writeSecret(folders.databaseSecret, `${JSON.stringify(target)}\n`, owner);
  }
  return readDatabaseSecret(folders);
}

/** Password of `freehold_replication`, the role by which servers and backups follow the cluster: only the supervisor reads this file. */
export function ensureReplicationSecret(folders: Folders): string {
  const file = join(folders.clusterAccess, 'replication.secret');
  if (!existsSync(file)) writeSecret(file, `${newSecret()}\n`, undefined);
  return readFileSync(file, 'utf8').trim();
}

/** A libpq password file by which the programs of one user connect as `freehold_replication`. Replaced whole. @returns its path */
export function writeReplicationPassFile(
  folders: Folders,
  name: string,
  password: string,
  owner: OsUser | undefined,
): string {
  const file = join(folders.clusterAccess, `${name}.pass`);
  writeSecret(file, `${replicationPrefix}${password}\n`, owner);
  return file;
}

/** The way to the primary for the program of `writeReplicationPassFile`. */
export function readReplicationTarget(folders: Folders, name: string): ConnectionTarget {
  const password = readFileSync(join(folders.clusterAccess, `${name}.pass`), 'utf8')
    .trim()
    .slice(replicationPrefix.length);
  // Replication speaks with no database; the name says so.
  return { host: folders.databaseSocket, port: clusterPort, database: 'replication', user: replicationRole, password };
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

function writeSecret(path: string, content: string, owner: OsUser | undefined): void {
  const temporary = `${path}.${randomName(10)}.new`;
  // Created exclusively and handled by its descriptor: root may write here into a folder of a part, which must not lead it elsewhere.
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeFileSync(file, content);
    fchmodSync(file, 0o600);
    if (owner) fchownSync(file, owner.uid, owner.gid);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

export function readDatabaseSecret(folders: Folders): ConnectionTarget {
  const stored = JSON.parse(readFileSync(folders.databaseSecret, 'utf8')) as Omit<ConnectionTarget, 'host'>;
  return { ...stored, host: folders.databaseSocket };
}

/** The external server of FREEHOLD_DATABASE_URL or the file that FREEHOLD_DATABASE_URL_FILE names; undefined: our own server. */
export function parseExternalDatabase(env: Env): ConnectionTarget | undefined {
  const text = readSecretSetting(env, 'FREEHOLD_DATABASE_URL');
  if (!text) return undefined;
  // The text holds a password: no error may quote it.
  const refuse = (detail: string) =>
    mainErrors.FH_SETTING_INVALID({
      detail: `FREEHOLD_DATABASE_URL: ${detail}`,
      hint: 'Write postgres://ROLE:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full',
    });
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refuse('it is not a URL');
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw refuse('it must begin with postgres://');
  const socketFolder = url.searchParams.get('host');
  const host = socketFolder ?? url.hostname;
  if (!host || !url.username || !url.password) throw refuse('host, role and password are needed');
  const sslmode =
    url.searchParams.get('sslmode') ?? (host.startsWith('/') || isLoopback(host) ? 'disable' : 'verify-full');
  if (sslmode !== 'disable' && sslmode !== 'verify-full')
    throw refuse('sslmode may be verify-full, or disable on this machine');
  if (sslmode === 'disable' && !host.startsWith('/') && !isLoopback(host))
    throw refuse('a server on another machine needs sslmode=verify-full');
  const rootCert = url.searchParams.get('sslrootcert');
  if (rootCert !== null && (sslmode === 'disable' || !isAbsolute(rootCert)))
    throw refuse('sslrootcert goes with sslmode=verify-full and begins with /');
  return {
    host,
    port: Number(url.port || 5432),
    database: decodeURIComponent(url.pathname.slice(1)) || controlDatabase,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    tls: sslmode === 'disable' ? 'off' : 'verify-full',
    ...(rootCert !== null && { ca: { file: rootCert, pem: readAuthorities('FREEHOLD_DATABASE_URL', rootCert) } }),
  };
}

export function controlTarget(config: Config, env: Env, folders: Folders): ConnectionTarget {
  const external = config.externalDatabase ? parseExternalDatabase(env) : undefined;
  return external ?? readDatabaseSecret(folders);
}

/** The mail server of FREEHOLD_SMTP_URL or the file that FREEHOLD_SMTP_URL_FILE names; undefined: none. */
export function readSmtpServer(env: Env): SmtpServer | undefined {
  const text = readSecretSetting(env, 'FREEHOLD_SMTP_URL');
  return text ? parseSmtpServer(text, env.FREEHOLD_MAIL_FROM?.trim()) : undefined;
}

/** Of the setting itself, or of the file that `NAME_FILE` names, which root alone may be able to read. */
function readSecretSetting(env: Env, name: 'FREEHOLD_DATABASE_URL' | 'FREEHOLD_SMTP_URL'): string | undefined {
  const file = env[`${name}_FILE`]?.trim();
  if (!file) return env[name]?.trim();
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw mainErrors.FH_SETTING_INVALID({ detail: `${name}_FILE: ${file} cannot be read (${code})`, cause });
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || /^127\./.test(host) || host === '[::1]';
}
