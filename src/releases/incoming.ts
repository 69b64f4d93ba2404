import { createWriteStream } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { failpoint, randomName } from '#src/kernel/index.ts';
import { requireRoom, toStorageError } from '#src/objects/index.ts';
import { type InspectedVersion, inspectVersion, maxArchiveBytes } from './content/index.ts';
import { releaseErrors } from './errors.ts';

/** Archives that were sent, `DIGEST.tar`, until their versions are built. */
export interface Incoming {
  /** Receives, checks and keeps an archive, durable. Whatever is wrong with it, nothing of it stays. */
  receive(content: AsyncIterable<Uint8Array>): Promise<InspectedVersion>;
  pathOf(digest: string): string;
  remove(digest: string): Promise<void>;
  /** Removes all but these: what a crash left. */
  keepOnly(digests: readonly string[]): Promise<void>;
}

const lookEveryBytes = 8 * 1024 * 1024;

/** @param folder absolute; only control enters it */
export function createIncoming(folder: string, maxBytes = maxArchiveBytes + 64 * 1024 * 1024): Incoming {
  const pathOf = (digest: string) => join(folder, `${digest}.tar`);

  async function* limited(content: AsyncIterable<Uint8Array>) {
    let received = 0;
    let nextLookBytes = lookEveryBytes;
    for await (const chunk of content) {
      received += chunk.byteLength;
      if (received > maxBytes) throw releaseErrors.FH_APP_TOO_LARGE({ detail: `it is larger than ${maxBytes} bytes` });
      yield chunk;
      if (received < nextLookBytes) continue;
      nextLookBytes += lookEveryBytes;
      await requireRoom(folder);
    }
  }

  return {
    pathOf,
    async receive(content) {
      await requireRoom(folder);
      const upload = join(folder, `upload-${randomName(26)}.tar`);
      try {
        // Made before anything is read: a sender who goes away at once would otherwise be answered before the file is there to be removed.
        await (await open(upload, 'wx', 0o600)).close();
        await pipeline(limited(content), createWriteStream(upload, { flags: 'r+' }));
        const file = await open(upload, 'r+');
        await file.sync().finally(() => file.close());
        const inspected = await inspectVersion(upload);
        await rename(upload, pathOf(inspected.digest));
        const opened = await open(folder, 'r');
        await opened.sync().finally(() => opened.close());
        await failpoint('releases.add.stored');
        return inspected;
      } catch (error) {
        await rm(upload, { force: true });
        throw toStorageError(error);
      }
    },
    remove: (digest) => rm(pathOf(digest), { force: true }),
    async keepOnly(digests) {
      const kept = new Set(digests.map((digest) => `${digest}.tar`));
      for (const name of await readdir(folder)) if (!kept.has(name)) await rm(join(folder, name), { force: true });
    },
  };
}
