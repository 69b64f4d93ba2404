import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { portabilityErrors } from './errors.ts';

const chunkBytes = 256 * 1024;

/** Bytes of a file from `offset` on; an error when the file ends before. */
export async function* readRange(file: FileHandle, offset: number, sizeBytes: number): AsyncGenerator<Buffer> {
  for (let done = 0; done < sizeBytes; ) {
    const length = Math.min(chunkBytes, sizeBytes - done);
    // A buffer of its own per chunk: whoever consumes may still hold the one before.
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset + done);
    if (bytesRead === 0) throw portabilityErrors.FH_ARCHIVE_INVALID({ detail: 'it is cut short' });
    yield buffer.subarray(0, bytesRead);
    done += bytesRead;
  }
}

/** Passes bytes on; throws at the end unless they have this digest. */
export async function* checked(
  content: AsyncIterable<Uint8Array>,
  member: { name: string; sha256: string },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of content) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== member.sha256) {
    throw portabilityErrors.FH_ARCHIVE_INVALID({ detail: `${member.name} does not have the checksum of the manifest` });
  }
}

export async function drain(content: AsyncIterable<Uint8Array>, onBytes: (count: number) => void): Promise<void> {
  for await (const chunk of content) onBytes(chunk.byteLength);
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
