import { portabilityErrors } from './errors.ts';

export const manifestName = 'manifest.json';
export const dumpName = 'database.dump';
/** Of an app that runs as a process: everything outside of schema `freehold`, structure and rows. */
export const appDumpName = 'app.dump';
export const formatVersion = 1;
/** 64 MiB: more than a million files. */
export const maxManifestBytes = 64 * 1024 * 1024;

/** What an archive says about itself; the first member, so that a person who opens the archive sees it first. */
export interface Manifest {
  readonly format: 'freehold-archive';
  readonly formatVersion: typeof formatVersion;
  readonly createdAt: string;
  readonly createdBy: string;
  /** `ten_…` of the exported tenant. */
  readonly createdFrom: string;
  readonly tenant: { readonly name: string; readonly title: string; readonly adminEmail: string };
  readonly app: { readonly name: string; readonly version: string };
  /** The migrations that made the schema, in order. */
  readonly migrations: readonly ManifestMigration[];
  readonly content: ManifestContent;
  readonly members: readonly ManifestMember[];
}

export interface ManifestMigration {
  /** `platform` or the name of the app. */
  readonly owner: string;
  readonly name: string;
  readonly sha256: string;
}

export interface ManifestContent {
  /** Equal for two databases with equal content. */
  readonly sha256: string;
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly sha256: string }[];
}

export interface ManifestMember {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Parses strictly: unknown fields (`__proto__` among them), wrong types and names outside the format are refused. */
export function parseManifest(text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('manifest.json is not JSON', cause);
  }
  const top = record('manifest', value, [
    'format',
    'formatVersion',
    'createdAt',
    'createdBy',
    'createdFrom',
    'tenant',
    'app',
    'migrations',
    'content',
    'members',
  ]);
  if (top.format !== 'freehold-archive') throw invalid('manifest.json is not of an archive of ours');
  if (top.formatVersion !== formatVersion) {
    throw portabilityErrors.FH_ARCHIVE_VERSION({ detail: `format version ${String(top.formatVersion).slice(0, 20)}` });
  }
  const tenant = record('tenant', top.tenant, ['name', 'title', 'adminEmail']);
  const app = record('app', top.app, ['name', 'version']);
  const content = record('content', top.content, ['sha256', 'tables']);
  const manifest: Manifest = {
    format: 'freehold-archive',
    formatVersion,
    createdAt: string('createdAt', top.createdAt, /^\d{4}-\d\d-\d\dT[\d:.]{8,20}Z$/),
    createdBy: string('createdBy', top.createdBy, /^.{1,100}$/),
    createdFrom: string('createdFrom', top.createdFrom, /^ten_[0-9a-hjkmnp-tv-z]{26}$/),
    tenant: {
      name: string('tenant.name', tenant.name, /^[a-z0-9-]{1,63}$/),
      title: string('tenant.title', tenant.title, /^.{1,240}$/su),
      adminEmail: string('tenant.adminEmail', tenant.adminEmail, /^.{0,254}$/su),
    },
    app: {
      name: string('app.name', app.name, /^[a-z][a-z0-9-]{0,62}$/),
      version: string('app.version', app.version, /^.{1,100}$/),
    },
    migrations: list('migrations', top.migrations, 10_000).map((item) => {
      const migration = record('migrations', item, ['owner', 'name', 'sha256']);
      return {
        owner: string('migrations.owner', migration.owner, /^[a-z][a-z0-9-]{0,62}$/),
        name: string('migrations.name', migration.name, /^[0-9]{4}_[a-z0-9_]{1,100}$/),
        sha256: digest('migrations.sha256', migration.sha256),
      };
    }),
    content: {
      sha256: digest('content.sha256', content.sha256),
      tables: list('content.tables', content.tables, 10_000).map((item) => {
        const table = record('content.tables', item, ['name', 'rows', 'sha256']);
        return {
          name: string('content.tables.name', table.name, /^.{1,200}$/su),
          rows: count('content.tables.rows', table.rows),
          sha256: digest('content.tables.sha256', table.sha256),
        };
      }),
    },
    members: list('members', top.members, 1_100_000).map((item) => {
      const member = record('members', item, ['name', 'sizeBytes', 'sha256']);
      return {
        name: string('members.name', member.name, /^(?:(?:database|app)\.dump|files\/[0-9a-f]{64})$/),
        sizeBytes: count('members.sizeBytes', member.sizeBytes),
        sha256: digest('members.sha256', member.sha256),
      };
    }),
  };
  checkMembers(manifest);
  return manifest;
}

/** `database.dump`, then `app.dump` where the app runs as a process, then files. */
export function splitMembers({ members }: Manifest): {
  readonly dump: ManifestMember;
  readonly appDump: ManifestMember | undefined;
  readonly files: readonly ManifestMember[];
} {
  const [dump, second] = members;
  const appDump = second?.name === appDumpName ? second : undefined;
  return { dump: dump!, appDump, files: members.slice(appDump ? 2 : 1) };
}

function checkMembers(manifest: Manifest): void {
  if (manifest.members[0]?.name !== dumpName) throw invalid('the manifest names no database');
  let last = '';
  for (const { name, sha256 } of splitMembers(manifest).files) {
    // In order, so that a name cannot come twice; and a file's name is its content.
    if (name <= last || name === dumpName || name === appDumpName) throw invalid('the manifest names a member twice');
    if (name !== `files/${sha256}`) throw invalid(`${name} is not named by its content`);
    last = name;
  }
}

function record<K extends string>(what: string, value: unknown, keys: readonly K[]): Record<K, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what} is not an object`);
  // JSON.parse makes `__proto__` an own field, so it shows up here like any other unknown one.
  for (const key of Object.keys(value)) {
    if (!keys.includes(key as K)) throw invalid(`${what} has the unknown field ${JSON.stringify(key.slice(0, 60))}`);
  }
  for (const key of keys) if (!Object.hasOwn(value, key)) throw invalid(`${what} has no field ${key}`);
  return value as Record<K, unknown>;
}

function list(what: string, value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) throw invalid(`${what} is not a list of at most ${max}`);
  return value;
}

function string(what: string, value: unknown, shape: RegExp): string {
  if (typeof value !== 'string' || !shape.test(value)) throw invalid(`${what} is malformed`);
  return value;
}

function digest(what: string, value: unknown): string {
  return string(what, value, /^[0-9a-f]{64}$/);
}

function count(what: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw invalid(`${what} is malformed`);
  return value;
}

function invalid(detail: string, cause?: unknown) {
  return portabilityErrors.FH_ARCHIVE_INVALID({ detail, cause });
}
