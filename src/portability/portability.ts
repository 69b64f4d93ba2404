import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Binaries, startTool as startClusterTool } from '#src/clusters/index.ts';
import type { DatabaseKind } from '#src/databases/types.ts';
import { type Clock, isId, type OperationId, randomName, type TenantId } from '#src/kernel/index.ts';
import { requireRoom, toStorageError } from '#src/objects/index.ts';
import { type ConnectionTarget, openConnection } from '#src/postgres/index.ts';
import type { OnProgress, PortabilityPort, Tenant, TenantInventory } from '#src/tenants/index.ts';
import { contentHash } from './content-hash.ts';
import { syncFolder } from './disk.ts';
import { portabilityErrors } from './errors.ts';
import { exportArchive } from './export.ts';
import { importArchive } from './import.ts';
import { verifyArchive } from './inspect.ts';
import type { Manifest } from './manifest.ts';
import { longJob, selectFileContents, stableOutput } from './sql.ts';

export type StartPostgresTool = (
  tool: 'pg_dump' | 'pg_restore',
  args: readonly string[],
  /** undefined: the tool connects to nothing. */
  target: ConnectionTarget | undefined,
  options?: { settings?: Readonly<Record<string, string>>; signal?: AbortSignal },
) => Promise<{ stdin: NodeJS.WritableStream; stdout: Readable; done: Promise<void> }>;

/** The contents of a tenant's files, apart from their rows. */
export interface FileVaultPort {
  /** The contents named, in that order. Those of a snapshot may have lost their last row since: they stay for a while. */
  readAll(
    tenantId: TenantId,
    sha256s: Iterable<string>,
  ): AsyncIterable<{ sha256: string; content: AsyncIterable<Uint8Array> }>;
  /** Stores content; refuses it unless it has this digest. Idempotent. */
  importFile(tenantId: TenantId, sha256: string, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Digests that a row names and that are not there. */
  findMissing(tenantId: TenantId): Promise<string[]>;
}

export interface PortabilityOptions {
  /** PostgreSQL's programs. */
  readonly binaries: Binaries;
  /** Absolute folder that only control enters: exports and uploads lie there in plain. */
  readonly exportsFolder: string;
  readonly vault: FileVaultPort;
  /** A role of a tenant's database, reachable also while gateways may not reach it. */
  readonly openTarget: (tenantId: TenantId, role: 'platform' | 'app') => Promise<ConnectionTarget>;
  /** A database that is closed to everybody else, until it is let go of; and one by its own roles. For `copyContent`. */
  readonly openClosed?: (
    databaseName: string,
  ) => Promise<{ readonly target: ConnectionTarget; close(): Promise<void> }>;
  readonly targetOf?: (databaseName: string, role: 'platform' | 'app', password: string) => Promise<ConnectionTarget>;
  /** How an app keeps its data. Default: `sdk` for all. */
  readonly kindOf?: (app: string) => DatabaseKind;
  /** Of an app that runs inside the gateway. */
  readonly appVersion: (app: string) => string;
  /** For example `freehold 0.1.0`. */
  readonly createdBy: string;
  readonly clock: Clock;
  /** Longest time for loading a dump of so many bytes. Default: ten minutes and two seconds per MiB. */
  readonly loadDeadlineMs?: (dumpBytes: number) => number;
}

export interface PortabilityDeps extends PortabilityOptions {
  readonly startTool: StartPostgresTool;
}

/** A tenant's database that is somewhere else than usual, for example on a scratch server. */
export interface RestoredTenant {
  /** Its platform role there. */
  readonly target: ConnectionTarget;
  readonly vault: Pick<FileVaultPort, 'readAll'>;
}

export interface Portability extends PortabilityPort {
  /** Writes what was restored for an operation as an archive that `importArchive` takes; replaces that of an earlier attempt. @returns its path */
  writeRestored(
    tenant: Tenant,
    operationId: OperationId,
    from: RestoredTenant,
    onProgress: OnProgress,
  ): Promise<string>;
  removeRestored(operationId: OperationId): Promise<void>;
  /** Receives an archive and keeps it under a name of its own; at most `maxBytes`. @returns its path */
  receiveUpload(content: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string>;
  /** Checks everything about an archive before anything is made: shape, checksums, readability. */
  inspectArchive(path: string): Promise<Manifest>;
  /** A finished export, to be sent to who asked for it. FH_ARCHIVE_NOT_FOUND when it is gone. */
  openExport(operationId: OperationId): Promise<{ content: Readable; sizeBytes: number }>;
  removeExport(operationId: OperationId): Promise<void>;
  /** Removes exports older than `maxAgeMs`, and what a crash left behind. Call at the start and now and then. */
  sweep(maxAgeMs: number, runningOperations: readonly OperationId[]): Promise<number>;
}

/** Of an upload, between two looks at how much room there is. */
const lookEveryBytes = 8 * 1024 * 1024;

/** Archives lie as `<tenantId>/<operationId>.tar` below the exports folder, uploads as `upload-….tar`. */
export function createPortability(options: PortabilityOptions): Portability {
  const { exportsFolder } = options;
  const startTool: StartPostgresTool = (tool, args, target, toolOptions) =>
    startClusterTool(options.binaries, tool, args, target ?? nowhere, toolOptions);
  const folderOf = (tenantId: TenantId) => join(exportsFolder, checkedId('ten', tenantId));

  async function findExport(operationId: OperationId): Promise<string> {
    const fileName = `${checkedId('opr', operationId)}.tar`;
    for (const folder of await readdir(exportsFolder)) {
      const path = join(exportsFolder, folder, fileName);
      if (isId('ten', folder) && (await stat(path).catch(() => undefined))) return path;
    }
    throw portabilityErrors.FH_ARCHIVE_NOT_FOUND();
  }

  return {
    async exportArchive(tenant, fileName, onProgress) {
      await requireRoom(exportsFolder);
      const folder = folderOf(tenant.tenantId);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return exportArchive({ ...options, startTool, exportsFolder: folder }, tenant, fileName, onProgress);
    },
    importArchive: (tenant, path, onProgress) => importArchive({ ...options, startTool }, tenant, path, onProgress),

    async copyContent(tenant, { from, to, passwords }, onProgress) {
      const { openClosed, targetOf } = options;
      if (!openClosed || !targetOf) throw new Error('there is only one server');
      await requireRoom(exportsFolder);
      const fileName = `.move-${checkedId('ten', tenant.tenantId)}.tar`;
      const path = join(exportsFolder, fileName);
      const halfOf =
        (begin: number): OnProgress =>
        (progress) =>
          onProgress({ ...progress, fraction: progress.fraction && begin + progress.fraction / 2 });
      const source = await openClosed(from);
      try {
        const reading = { ...options, startTool, openTarget: async () => source.target };
        await exportArchive(reading, tenant, fileName, halfOf(0), { isWhole: true });
        const writing = {
          ...options,
          startTool,
          openTarget: (_tenantId: TenantId, role: 'platform' | 'app') =>
            targetOf(to, role, role === 'app' ? passwords.appPassword : passwords.platformPassword),
        };
        return await importArchive(writing, tenant, path, halfOf(0.5), { isWhole: true });
      } finally {
        await source.close();
        await rm(path, { force: true });
      }
    },

    async writeRestored(tenant, operationId, { target, vault }, onProgress) {
      await requireRoom(exportsFolder);
      const fileName = restoredName(operationId);
      const from = { ...options, startTool, openTarget: async () => target, vault: { ...options.vault, ...vault } };
      await exportArchive(from, tenant, fileName, onProgress);
      return join(exportsFolder, fileName);
    },
    async removeRestored(operationId) {
      await rm(join(exportsFolder, restoredName(operationId)), { force: true });
    },

    async removeUpload(path) {
      // Recorded in an operation's input: only what we named ourselves is removed.
      if (dirname(path) === exportsFolder && /^upload-[0-9a-z]{26}\.tar$/.test(basename(path))) {
        await rm(path, { force: true });
      }
    },

    async removeExports(tenantId) {
      const folder = folderOf(tenantId);
      const names = await readdir(folder).catch(() => []);
      let bytes = 0;
      for (const name of names) bytes += (await stat(join(folder, name))).size;
      await rm(folder, { recursive: true, force: true });
      return { files: names.length, bytes };
    },

    async inventory(tenant): Promise<TenantInventory> {
      const connection = await openConnection(await options.openTarget(tenant.tenantId, 'platform'), {
        applicationName: 'freehold inventory',
        options: { ...longJob, ...stableOutput },
      });
      try {
        await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        // Nobody keeps a tenant from being deleted.
        const content = await contentHash(connection, { hidden: 'passed over' });
        const files = await selectFileContents(connection);
        return {
          tables: content.tables.length,
          rows: content.tables.reduce((sum, table) => sum + table.rows, 0),
          contentHash: content.sha256,
          files: files.length,
          fileBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
        };
      } finally {
        await connection.close();
      }
    },

    async receiveUpload(content, maxBytes) {
      const path = join(exportsFolder, `upload-${randomName(26)}.tar`);
      let received = 0;
      let nextLookBytes = lookEveryBytes;
      await requireRoom(exportsFolder);
      const limited = async function* () {
        for await (const chunk of content) {
          received += chunk.byteLength;
          if (received > maxBytes)
            throw portabilityErrors.FH_ARCHIVE_INVALID({ detail: `it is larger than ${maxBytes} bytes` });
          yield chunk;
          if (received < nextLookBytes) continue;
          nextLookBytes += lookEveryBytes;
          await requireRoom(exportsFolder);
        }
      };
      try {
        await pipeline(limited, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
        const handle = await open(path, 'r+');
        await handle.sync().finally(() => handle.close());
        await syncFolder(exportsFolder);
        return path;
      } catch (error) {
        await rm(path, { force: true });
        throw toStorageError(error);
      }
    },

    inspectArchive: (path) => verifyArchive(path, startTool),

    async openExport(operationId) {
      const path = await findExport(operationId);
      return { content: createReadStream(path), sizeBytes: (await stat(path)).size };
    },
    async removeExport(operationId) {
      await rm(await findExport(operationId), { force: true });
    },

    async sweep(maxAgeMs, runningOperations) {
      const before = options.clock.now() - maxAgeMs;
      let removed = 0;
      for (const name of await readdir(exportsFolder)) {
        const path = join(exportsFolder, name);
        const inner = isId('ten', name) ? (await readdir(path)).map((file) => join(path, file)) : [path];
        for (const file of inner) {
          const inUse = runningOperations.some((operationId) => basename(file).includes(operationId));
          const { mtimeMs } = await stat(file);
          // Half-written ones wait as long as the others: an operation may have begun after the list was made.
          if (inUse || mtimeMs > before) continue;
          await rm(file, { recursive: true, force: true });
          removed++;
        }
      }
      return removed;
    },
  };
}

/** The operation's id is in it, so that `sweep` leaves it alone while the operation runs. */
const restoredName = (operationId: OperationId) => `restored-${checkedId('opr', operationId)}.tar`;

/** Where a tool goes that must not go anywhere. */
const nowhere: ConnectionTarget = { host: '/nonexistent', port: 1, database: 'none', user: 'none', password: '' };

/** An id becomes a path, so its shape is checked where the path is made. */
function checkedId(prefix: 'ten' | 'opr', id: string): string {
  if (!isId(prefix, id)) throw portabilityErrors.FH_ARCHIVE_NOT_FOUND();
  return id;
}
