import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { DatabaseKind } from '#src/databases/types.ts';
import { failpoint } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { OnProgress, Tenant } from '#src/tenants/index.ts';
import { contentHash } from './content-hash.ts';
import { checked, syncFolder } from './disk.ts';
import { portabilityErrors } from './errors.ts';
import { verifyArchive } from './inspect.ts';
import { appDumpName, dumpName, formatVersion, type Manifest, manifestName, splitMembers } from './manifest.ts';
import type { PortabilityDeps } from './portability.ts';
import {
  exportSnapshot,
  longJob,
  selectFileContents,
  selectMigrations,
  stableOutput,
  unexportedTables,
} from './sql.ts';

export interface ExportedArchive {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly contentHash: string;
}

/**
 * Writes one archive: dump, content hash and list of files all from one snapshot, so they belong together while users work on.
 * `isWhole`: for another place of the same tenant, with what is in no archive, and without files, which stay where they are.
 * Written under another name, read back and checked, then renamed: whoever sees the name sees a whole archive.
 */
export async function exportArchive(
  deps: PortabilityDeps,
  tenant: Tenant,
  fileName: string,
  onProgress: OnProgress,
  { isWhole = false }: { readonly isWhole?: boolean } = {},
): Promise<ExportedArchive> {
  const work = join(deps.exportsFolder, `.${fileName}.work`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { mode: 0o700 });
  try {
    const snapshot = await dumpDatabase(deps, tenant, work, isWhole, onProgress);
    await failpoint('export.dumped');
    const dumps = [];
    for (const name of snapshot.dumps) {
      const path = join(work, name);
      dumps.push({ name, sizeBytes: (await stat(path)).size, sha256: await hashFile(path) });
    }
    const files = (isWhole ? [] : snapshot.files).map((file) => ({ name: `files/${file.sha256}`, ...file }));
    const manifest: Manifest = {
      format: 'freehold-archive',
      formatVersion,
      createdAt: new Date(deps.clock.now()).toISOString(),
      createdBy: deps.createdBy,
      createdFrom: tenant.tenantId,
      tenant: { name: tenant.name, title: tenant.title, adminEmail: tenant.adminEmail },
      app: { name: tenant.app, version: tenant.appVersion ?? deps.appVersion(tenant.app) },
      migrations: snapshot.migrations,
      content: snapshot.content,
      members: [...dumps, ...files],
    };
    const archive = join(work, fileName);
    const sha256 = await writeArchive(deps, tenant, manifest, work, archive, onProgress);
    await failpoint('export.written');
    await verifyArchive(archive, deps.startTool, (progress) =>
      onProgress({ ...progress, fraction: progress.fraction && 0.7 + 0.3 * progress.fraction }),
    );
    const { size } = await stat(archive);
    await rename(archive, join(deps.exportsFolder, fileName));
    await syncFolder(deps.exportsFolder);
    return { sizeBytes: size, sha256, contentHash: manifest.content.sha256 };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * What of the database goes into which member. An app that runs as a process has schemas, extensions and large objects that only it knows; they are loaded as its own
 * role, apart from what is the platform's.
 */
const dumpsOf: Readonly<Record<DatabaseKind, readonly (readonly [name: string, ...selection: string[]])[]>> = {
  sdk: [[dumpName, '--schema=app', '--schema=freehold']],
  process: [
    [dumpName, '--schema=freehold'],
    [appDumpName, '--exclude-schema=freehold', '--no-subscriptions'],
  ],
};

async function dumpDatabase(
  deps: PortabilityDeps,
  tenant: Tenant,
  work: string,
  isWhole: boolean,
  onProgress: OnProgress,
) {
  onProgress({ fraction: 0, text: 'reading the database' });
  const kind = deps.kindOf?.(tenant.app) ?? 'sdk';
  const target = await deps.openTarget(tenant.tenantId, 'platform');
  const connection = await openConnection(target, {
    applicationName: 'freehold export',
    options: { ...longJob, ...stableOutput },
  });
  try {
    await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const snapshot = await exportSnapshot(connection);
    const dumping = dumpsOf[kind].map(async ([name, ...selection]) => {
      const tool = await deps.startTool(
        'pg_dump',
        [
          '--format=custom',
          '--no-owner',
          '--no-privileges',
          ...selection,
          '--lock-wait-timeout=30000',
          `--snapshot=${snapshot}`,
          `--file=${join(work, name)}`,
          ...(isWhole ? [] : unexportedTables).map((table) => `--exclude-table-data=${table}`),
        ],
        target,
        { settings: longJob },
      );
      tool.stdin.end();
      tool.stdout.resume();
      await tool.done;
      return name;
    });
    // All of them have ended before the snapshot does, whatever becomes of one.
    const [content, ...dumps] = await settle([contentHash(connection, { isWhole }), ...dumping] as const);
    const files = await selectFileContents(connection);
    const migrations = await selectMigrations(connection, tenant.app, kind);
    await connection.query('COMMIT');
    return { content, files, migrations, dumps };
  } finally {
    await connection.close();
  }
}

/** @returns SHA-256 of the archive */
async function writeArchive(
  deps: PortabilityDeps,
  tenant: Tenant,
  manifest: Manifest,
  work: string,
  archive: string,
  onProgress: OnProgress,
): Promise<string> {
  const tar = pack();
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const file = await open(archive, 'wx', 0o600);
  try {
    // By the handle alone: a stream of its number closes it when it is destroyed, and the number may be another file's by then.
    const writing = pipeline(tar, hashing, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) await file.writeFile(chunk);
    });
    const filling = fill(deps, tenant, tar, manifest, work, onProgress).catch((error) => {
      tar.destroy(error);
      throw error;
    });
    // The first error is the cause; the other side then only says that it was closed.
    const [written, filled] = await Promise.allSettled([writing, filling]);
    if (filled.status === 'rejected') throw filled.reason;
    if (written.status === 'rejected') throw written.reason;
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

async function fill(
  deps: PortabilityDeps,
  tenant: Tenant,
  tar: Pack,
  manifest: Manifest,
  work: string,
  onProgress: OnProgress,
): Promise<void> {
  const { files } = splitMembers(manifest);
  const text = Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`);
  await addMember(tar, manifestName, text.length, Readable.from([text]));
  for (const { name, sizeBytes } of manifest.members.slice(0, -files.length || undefined))
    await addMember(tar, name, sizeBytes, createReadStream(join(work, name)));
  const wanted = new Map(files.map((member) => [member.sha256, member]));
  for await (const { sha256, content } of wanted.size > 0
    ? deps.vault.readAll(tenant.tenantId, [...wanted.keys()])
    : []) {
    const member = wanted.get(sha256);
    if (!member) throw new Error('a file came that nobody asked for');
    await addMember(tar, member.name, member.sizeBytes, checked(content, member));
    wanted.delete(sha256);
    const done = files.length - wanted.size;
    onProgress({ fraction: 0.2 + (0.5 * done) / files.length, text: `${done} of ${files.length} files` });
  }
  if (wanted.size > 0) throw portabilityErrors.FH_ARCHIVE_CHANGED({ detail: `${wanted.size} files` });
  tar.finalize();
}

async function addMember(tar: Pack, name: string, size: number, content: AsyncIterable<Uint8Array>): Promise<void> {
  // The epoch: an archive says when it was made in its manifest, once.
  const header = { name, size, mode: 0o600, mtime: new Date(0), type: 'file' } as const;
  await pipeline(Readable.from(content), tar.entry(header) as unknown as NodeJS.WritableStream);
}

/** Like Promise.all, but waits for all before it rejects with the first failure. */
async function settle<T extends readonly unknown[]>(work: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
