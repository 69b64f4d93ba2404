import { createHash } from 'node:crypto';
import { randomName } from '#src/kernel/index.ts';
import { databaseErrors } from './errors.ts';

/** A tenant's database; nothing in the name tells whose it is, because every role can read pg_database. */
const tenantName = /^t_[0-9a-hjkmnp-tv-z]{20}(?:_(c[0-9a-hjkmnp-tv-z]{8}))?$/;
/** A template: named after the digest of its migrations and the installation that made it. */
const templateName = /^tpl_[0-9a-hjkmnp-tv-z]{20}$/;

export interface DatabaseRoles {
  /** Owns what is the app's; called like the database, which is what `samerole` in pg_hba.conf and migrations rely on. */
  readonly app: string;
  /** Owns schema `freehold`; member of the app role. */
  readonly platform: string;
  /** Exists only while a migration runs: a login that is a member of one of the two. */
  readonly migrator: string;
  /** Exists only while control reads a database that is closed: a login that is a member of the platform role. */
  readonly reader: string;
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** The first 100 bits of a digest as 20 characters of a name. */
export function nameOfDigest(digest: Uint8Array): string {
  return [...digest.subarray(0, 20)].map((byte) => alphabet[byte & 31]).join('');
}

/** The server that every installation has. */
export const mainCluster = 'main';

/** A server of its own for one tenant. Part of the names of its databases, so that a name alone says where the database is. */
export function newClusterName(): string {
  return `c${randomName(8)}`;
}

/** 100 random bits, and the server. */
export function newDatabaseName(cluster: string = mainCluster): string {
  const name = `t_${randomName(20)}${cluster === mainCluster ? '' : `_${cluster}`}`;
  rolesOf(name);
  return name;
}

/** @returns `main`, or the name of the server that is only there for one tenant */
export function clusterOf(databaseName: string): string {
  return tenantName.exec(databaseName)?.[1] ?? mainCluster;
}

/**
 * The template of these migrations that belongs to one control database. Installations that share a server do not share templates:
 * their advisory locks do not see each other, and one would drop what the other copies from.
 */
export function templateNameOf(version: string, controlDatabase: string): string {
  return `tpl_${nameOfDigest(createHash('sha256').update(`${controlDatabase}\0${version}`).digest())}`;
}

export function isTemplateName(name: string): boolean {
  return templateName.test(name);
}

/** Throws FH_DB_NAME_INVALID on anything that is not ours: no statement here may ever touch another database. */
export function rolesOf(name: string): DatabaseRoles {
  if (!tenantName.test(name) && !templateName.test(name))
    throw databaseErrors.FH_DB_NAME_INVALID({ detail: JSON.stringify(name) });
  return { app: name, platform: `${name}_p`, migrator: `${name}_m`, reader: `${name}_r` };
}
