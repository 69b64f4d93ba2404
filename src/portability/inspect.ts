import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { OnProgress } from '#src/tenants/index.ts';
import { checked, drain, readRange } from './disk.ts';
import { portabilityErrors } from './errors.ts';
import {
  type Manifest,
  type ManifestMember,
  manifestName,
  maxManifestBytes,
  parseManifest,
  splitMembers,
} from './manifest.ts';
import type { StartPostgresTool } from './portability.ts';
import { indexTar } from './tar-index.ts';

export interface OpenArchive {
  readonly manifest: Manifest;
  readonly sizeBytes: number;
  /** Bytes of one member; throws at their end unless they have the manifest's checksum. */
  read(member: ManifestMember): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

/** Opens an archive and checks its shape: the manifest, and that exactly the members it names are there, each as large as it says. */
export async function openArchive(path: string): Promise<OpenArchive> {
  const file = await open(path, 'r').catch((cause) => {
    throw portabilityErrors.FH_ARCHIVE_INVALID({ detail: 'it cannot be opened', cause });
  });
  try {
    const { size } = await file.stat();
    const members = await indexTar(file, size);
    const [first, ...rest] = members;
    if (first?.name !== manifestName)
      throw portabilityErrors.FH_ARCHIVE_INVALID({ detail: 'its first member is not manifest.json' });
    if (first.sizeBytes > maxManifestBytes)
      throw portabilityErrors.FH_ARCHIVE_INVALID({ detail: 'manifest.json is too large' });
    const manifest = parseManifest((await readAll(file, first.offset, first.sizeBytes)).toString('utf8'));
    if (rest.length !== manifest.members.length) {
      throw portabilityErrors.FH_ARCHIVE_INVALID({
        detail: `it has ${rest.length} members, the manifest names ${manifest.members.length}`,
      });
    }
    const offsets = new Map<string, number>();
    for (const [index, expected] of manifest.members.entries()) {
      const found = rest[index]!;
      if (found.name !== expected.name || found.sizeBytes !== expected.sizeBytes) {
        const name = JSON.stringify(found.name.slice(0, 100));
        throw portabilityErrors.FH_ARCHIVE_INVALID({
          detail: `${name} is not the member that the manifest names here`,
        });
      }
      offsets.set(expected.name, found.offset);
    }
    return {
      manifest,
      sizeBytes: size,
      read: (member) => checked(readRange(file, offsets.get(member.name)!, member.sizeBytes), member),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Reads everything once: every checksum, and that PostgreSQL's own tool can read the database. Nothing is loaded. */
export async function verifyArchive(
  path: string,
  startTool: StartPostgresTool,
  onProgress: OnProgress = () => {},
): Promise<Manifest> {
  const archive = await openArchive(path);
  try {
    let done = 0;
    const report = (count: number) => {
      done += count;
      onProgress({ fraction: Math.min(1, done / archive.sizeBytes), text: 'checking the archive' });
    };
    for (const member of archive.manifest.members) await drain(archive.read(member), report);
    const { dump, appDump } = splitMembers(archive.manifest);
    for (const each of appDump ? [dump, appDump] : [dump]) await listDump(archive, each, startTool);
    return archive.manifest;
  } finally {
    await archive.close();
  }
}

async function listDump(archive: OpenArchive, dump: ManifestMember, startTool: StartPostgresTool): Promise<void> {
  const tool = await startTool('pg_restore', ['--list'], undefined);
  tool.stdout.resume();
  // The tool closes its input once it has seen the table of contents.
  await pipeline(Readable.from(archive.read(dump)), tool.stdin).catch(() => {});
  await tool.done.catch((cause) => {
    throw portabilityErrors.FH_ARCHIVE_INVALID({ detail: 'its database is not readable', cause });
  });
}

async function readAll(file: FileHandle, offset: number, sizeBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readRange(file, offset, sizeBytes)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
