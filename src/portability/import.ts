import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DatabaseKind } from '#src/databases/types.ts';
import { failpoint } from '#src/kernel/index.ts';
import { type Connection, type ConnectionTarget, openConnection, sqlState } from '#src/postgres/index.ts';
import type { OnProgress, Tenant } from '#src/tenants/index.ts';
import { contentHash, schemaHash } from './content-hash.ts';
import { portabilityErrors } from './errors.ts';
import { type OpenArchive, openArchive } from './inspect.ts';
import { type ManifestMember, splitMembers } from './manifest.ts';
import type { PortabilityDeps } from './portability.ts';
import {
  enableTriggers,
  type ForeignKey,
  longJob,
  prepareTables,
  selectImmediateForeignKeys,
  selectMigrations,
  selectTables,
  setForeignKeys,
  stableOutput,
  type TableName,
} from './sql.ts';

/**
 * Loads an archive into the tenant's fresh database, which was made from our own migrations: the archive brings rows, never
 * structure. It is loaded as the tenant's own role, because the statements in a dump are whatever its author wrote: they can
 * reach this one database and nothing else. Afterwards the structure must be what it was, and the content what was exported.
 * What an app that runs as a process made comes with its structure, and is loaded as the app's role: its functions and indexes run with no other rights than
 * the app has, which are not those of the platform.
 */
export async function importArchive(
  deps: PortabilityDeps,
  tenant: Tenant,
  path: string,
  onProgress: OnProgress,
  { isWhole = false }: { readonly isWhole?: boolean } = {},
): Promise<{ contentHash: string }> {
  const archive = await openArchive(path);
  try {
    const { manifest } = archive;
    const kind = deps.kindOf?.(tenant.app) ?? 'sdk';
    const { dump, appDump } = splitMembers(manifest);
    if ((appDump !== undefined) !== (kind === 'process'))
      throw portabilityErrors.FH_ARCHIVE_VERSION({ detail: `it is of an app of another kind than ${tenant.app}` });
    const target = await deps.openTarget(tenant.tenantId, 'platform');
    const before = await withConnection(target, async (connection) => {
      await checkMigrations(connection, tenant, archive, kind);
      return { hash: await schemaHash(connection, kind), relaxed: await relax(connection) };
    });
    onProgress({ fraction: 0, text: 'loading the database' });
    await restore(deps, archive, dump, target, ['--data-only']);
    if (appDump) await restore(deps, archive, appDump, await deps.openTarget(tenant.tenantId, 'app'), []);
    await failpoint('import.restored');
    const found = await withConnection(target, async (connection) => {
      await restrain(connection, before.relaxed).catch((cause) => {
        // Class 42: what is to be put back is not there any more.
        throw sqlState(cause)?.startsWith('42') ? portabilityErrors.FH_ARCHIVE_SCHEMA({ cause }) : cause;
      });
      if ((await schemaHash(connection, kind)) !== before.hash) throw portabilityErrors.FH_ARCHIVE_SCHEMA();
      await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      return contentHash(connection, { isWhole });
    });
    if (found.sha256 !== manifest.content.sha256) {
      const differs = manifest.content.tables.find(
        (table) => !found.tables.some((other) => other.name === table.name && other.sha256 === table.sha256),
      );
      throw portabilityErrors.FH_ARCHIVE_DIFFERS({ detail: differs?.name });
    }
    if (!isWhole) await importFiles(deps, tenant, archive, onProgress);
    return { contentHash: found.sha256 };
  } finally {
    await archive.close();
  }
}

async function checkMigrations(connection: Connection, tenant: Tenant, archive: OpenArchive, kind: DatabaseKind) {
  const ours = await selectMigrations(connection, tenant.app, kind);
  const theirs = archive.manifest.migrations;
  const text = (migrations: typeof theirs) =>
    JSON.stringify(migrations.map(({ owner, name, sha256 }) => [owner, name, sha256]));
  if (text(ours) === text(theirs)) return;
  const last = theirs.at(-1);
  throw portabilityErrors.FH_ARCHIVE_VERSION({
    detail: `it was made by ${archive.manifest.createdBy} with ${archive.manifest.app.name} ${archive.manifest.app.version}${
      last ? ` (last migration ${last.name})` : ''
    }`,
  });
}

/** Generous: a machine that loads half a MiB of a compressed dump in a second is slow. */
function defaultLoadDeadlineMs(dumpBytes: number): number {
  return 600_000 + Math.ceil((2_000 * dumpBytes) / 1_048_576);
}

/** A statement of the archive's author may as well wait for ever, and with it an operation that nobody can cancel: so there is an end. */
async function restore(
  deps: PortabilityDeps,
  archive: OpenArchive,
  dump: ManifestMember,
  target: ConnectionTarget,
  selection: readonly string[],
): Promise<void> {
  const signal = AbortSignal.timeout((deps.loadDeadlineMs ?? defaultLoadDeadlineMs)(dump.sizeBytes));
  const tool = await deps.startTool(
    'pg_restore',
    [
      ...selection,
      '--no-owner',
      '--no-privileges',
      '--single-transaction',
      '--exit-on-error',
      `--dbname=${target.database}`,
    ],
    target,
    { settings: { ...longJob, default_transaction_read_only: 'off' }, signal },
  );
  tool.stdout.resume();
  let refused: unknown;
  await pipeline(Readable.from(archive.read(dump)), tool.stdin).catch((error) => {
    // EPIPE only says that the tool ended first; why, it says itself.
    if (error.code !== 'EPIPE') refused = error;
  });
  await tool.done.catch((cause) => {
    if (signal.aborted)
      throw portabilityErrors.FH_ARCHIVE_INVALID({ detail: 'loading its rows takes too long', cause });
    throw refused ?? portabilityErrors.FH_ARCHIVE_INVALID({ detail: 'PostgreSQL refused its rows', cause });
  });
  if (refused) throw refused;
}

interface Relaxed {
  readonly tables: readonly TableName[];
  readonly foreignKeys: readonly ForeignKey[];
}

/** Empty tables, silent triggers, foreign keys checked at the end. */
async function relax(connection: Connection): Promise<Relaxed> {
  const tables = await selectTables(connection);
  const foreignKeys = await selectImmediateForeignKeys(connection);
  await connection.query('BEGIN READ WRITE');
  await prepareTables(connection, tables);
  await setForeignKeys(connection, foreignKeys, 'DEFERRABLE INITIALLY DEFERRED');
  await connection.query('COMMIT');
  return { tables, foreignKeys };
}

async function restrain(connection: Connection, { tables, foreignKeys }: Relaxed): Promise<void> {
  await connection.query('BEGIN READ WRITE');
  await setForeignKeys(connection, foreignKeys, 'NOT DEFERRABLE');
  await enableTriggers(connection, tables);
  await connection.query('COMMIT');
}

async function importFiles(
  deps: PortabilityDeps,
  tenant: Tenant,
  archive: OpenArchive,
  onProgress: OnProgress,
): Promise<void> {
  const { files } = splitMembers(archive.manifest);
  for (const [index, member] of files.entries()) {
    await deps.vault.importFile(tenant.tenantId, member.sha256, archive.read(member));
    onProgress({ fraction: 0.5 + (0.5 * (index + 1)) / files.length, text: `${index + 1} of ${files.length} files` });
  }
  const missing = await deps.vault.findMissing(tenant.tenantId);
  if (missing.length > 0) {
    throw portabilityErrors.FH_ARCHIVE_DIFFERS({
      detail: `${missing.length} files are named by the database and not in the archive`,
    });
  }
}

async function withConnection<T>(target: ConnectionTarget, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await openConnection(target, {
    applicationName: 'freehold import',
    options: { ...longJob, ...stableOutput },
  });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
