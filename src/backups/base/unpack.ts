import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { FreeholdError } from '#src/kernel/index.ts';
import { openObject } from '#src/keys/index.ts';
import type { BackupKeys, ObjectHeader } from '#src/keys/types.ts';
import { type ObjectName, type RegionStore, toStorageError } from '#src/objects/index.ts';
import type { createDataFolder } from './data-folder.ts';
import { baseBackupErrors } from './errors.ts';
import type { FileFacts } from './file-sets.ts';
import { createTarReader, type TarEntry } from './tar-reader.ts';

export interface UnpackOptions {
  readonly region: RegionStore;
  readonly object: ObjectName;
  readonly expect: Partial<ObjectHeader> & Pick<ObjectHeader, 'kind'>;
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly folder: Awaited<ReturnType<typeof createDataFolder>>;
  readonly signal?: AbortSignal;
  /** False: the entry has no business in this object, which is then refused. */
  allows(entry: TarEntry): boolean;
  onContent?(path: string, bytes: Buffer): void;
  onFile(file: FileFacts): void;
  onRead(bytes: number): void;
}

/** Region → opened → decompressed → files below the folder, hashed on the way. FH_BACKUP_OBJECT_MISSING, FH_BACKUP_OBJECT_DAMAGED, … */
export async function unpackObject(options: UnpackOptions): Promise<void> {
  const { region, object, signal, folder, keys } = options;
  const what = `${region.region}: ${object}`;
  const source = await region.get(object);
  if (!source) throw baseBackupErrors.FH_BACKUP_OBJECT_MISSING({ detail: what });
  const tar = createTarReader();
  let file: { handle: FileHandle; hash: Hash; path: string } | undefined;

  async function takeChunk(chunk: Buffer): Promise<void> {
    for (const part of tar.parts(chunk)) {
      if (part.kind === 'header') {
        const { entry } = part;
        if (!options.allows(entry)) throw damaged(`${what} holds ${entry.path}`);
        if (entry.kind === 'folder') await folder.makeFolder(entry.path);
        else file = { handle: await folder.createFile(entry.path), hash: createHash('sha256'), path: entry.path };
      } else if (part.kind === 'content') {
        file!.hash.update(part.bytes);
        options.onContent?.(file!.path, part.bytes);
        await writeAll(file!.handle, part.bytes);
      } else if (part.kind === 'end-of-entry' && file) {
        const { hash, handle } = file;
        file = undefined;
        await handle.close();
        options.onFile({ path: part.entry.path, sizeBytes: part.entry.sizeBytes, sha256: hash.digest('hex') });
      }
    }
  }

  async function* counted(): AsyncGenerator<Buffer> {
    for await (const bytes of source as AsyncIterable<Buffer>) {
      options.onRead(bytes.length);
      yield bytes;
    }
  }

  try {
    const { content } = await openObject(counted(), {
      expect: options.expect,
      findKey: async (keyId) => (await keys.openKey(keyId)).key,
    });
    const takeAll = async (plain: AsyncIterable<Buffer>) => {
      for await (const chunk of plain) await takeChunk(chunk);
    };
    await pipeline(content, createZstdDecompress(), takeAll, { signal });
    tar.end();
  } catch (error) {
    signal?.throwIfAborted();
    throw toDamaged(toStorageError(error), what);
  } finally {
    await file?.handle.close();
    source.destroy();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    offset += (await handle.write(bytes, offset, bytes.length - offset)).bytesWritten;
  }
}

/** Does not open, does not decompress, is not the archive it should be: all mean that the object is not what was stored. */
function toDamaged(error: unknown, what: string): unknown {
  const code = (error as { code?: unknown }).code;
  const isDamage = code === 'FH_KEY_UNSEAL' || code === 'FH_BASE_BACKUP_MISMATCH' || String(code).startsWith('ZSTD_');
  if (!isDamage) return error;
  return damaged(error instanceof FreeholdError && error.detail ? `${what}: ${error.detail}` : what, error);
}

function damaged(detail: string, cause?: unknown) {
  return baseBackupErrors.FH_BACKUP_OBJECT_DAMAGED({ detail, ...(cause !== undefined && { cause }) });
}
