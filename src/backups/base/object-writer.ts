import { once } from 'node:events';
import { constants, createZstdCompress } from 'node:zlib';
import { failpoint } from '#src/kernel/index.ts';
import { sealObject } from '#src/keys/index.ts';
import type { BackupKey, ObjectHeader } from '#src/keys/types.ts';
import type { ObjectName } from '#src/objects/index.ts';
import type { LiveRegions, StoredBytes } from './live-regions.ts';

export interface ObjectWriterOptions {
  readonly regions: LiveRegions;
  readonly name: ObjectName;
  readonly key: BackupKey;
  readonly header: ObjectHeader;
  readonly compressionLevel: number;
  /** Compressed bytes that are kept in memory before the object is written; a larger one is written while it comes. */
  readonly holdBytes: number;
}

/** One object on its way: bytes → zstd → sealed → every region. */
export interface ObjectWriter {
  readonly name: ObjectName;
  /** Takes the bytes at once; `room` holds the writer back. */
  write(bytes: Buffer): void;
  room(): Promise<void>;
  /**
   * No more comes. `isWanted` is asked once, and no region publishes the object before it has answered: false throws the object away.
   * @returns undefined when it was not wanted
   */
  finish(isWanted?: () => Promise<boolean>): Promise<StoredBytes | undefined>;
  /** The object must not come to be. Resolves when no region is at work on it any more. */
  abort(error: Error): Promise<void>;
}

/** Few large writes, in buffers that are used again: every one is a round trip to the thread pool, and content comes in pages. */
const batchBytes = 1024 * 1024;

class Unwanted extends Error {}

export function createObjectWriter(options: ObjectWriterOptions): ObjectWriter {
  const { regions, name, key, header, compressionLevel, holdBytes } = options;
  const zstd = createZstdCompress({
    chunkSize: 256 * 1024,
    params: { [constants.ZSTD_c_compressionLevel]: compressionLevel, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  const seal = sealObject(key.key, header);
  const decision = Promise.withResolvers<boolean>();
  decision.promise.catch(() => {});
  // What goes wrong shows in `stored`.
  zstd.on('error', () => {});
  const spare: Buffer[] = [];
  let batch: Buffer | undefined;
  let batchedBytes = 0;
  const stored = store();
  // Looked at in `room` and `finish`.
  stored.catch(() => {});

  async function store(): Promise<StoredBytes | undefined> {
    const compressed = zstd[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const held: Buffer[] = [];
    for (let heldBytes = 0; heldBytes <= holdBytes; ) {
      const { value, done } = await compressed.next();
      if (done) {
        if (!(await decision.promise)) return undefined;
        return regions.put(name, Buffer.concat(await Array.fromAsync(seal(fromArray(held)))));
      }
      held.push(value);
      heldBytes += value.length;
    }
    async function* all() {
      for (let bytes = held.shift(); bytes; bytes = held.shift()) yield bytes;
      yield* { [Symbol.asyncIterator]: () => compressed };
      await failpoint('backups.base.object_streamed');
      if (!(await decision.promise)) throw new Unwanted();
    }
    try {
      return await regions.putStream(name, seal(all()));
    } catch (error) {
      if (error instanceof Unwanted) return undefined;
      throw error;
    }
  }

  function flush(): void {
    const full = batch;
    if (!full) return;
    zstd.write(full.subarray(0, batchedBytes), () => spare.push(full));
    batch = undefined;
    batchedBytes = 0;
  }

  return {
    name,
    write(bytes) {
      for (let taken = 0; taken < bytes.length; ) {
        batch ??= spare.pop() ?? Buffer.allocUnsafe(batchBytes);
        const count = bytes.copy(batch, batchedBytes, taken);
        taken += count;
        batchedBytes += count;
        if (batchedBytes === batchBytes) flush();
      }
    },
    async room() {
      // A region's failure shows in `stored` while nobody reads the compressor any more.
      if (zstd.writableNeedDrain) await Promise.race([once(zstd, 'drain'), stored]);
    },
    async finish(isWanted = async () => true) {
      flush();
      zstd.end();
      isWanted().then(decision.resolve, decision.reject);
      return stored;
    },
    async abort(error) {
      decision.reject(error);
      zstd.destroy(error);
      await stored.catch(() => {});
    },
  };
}

async function* fromArray(buffers: readonly Buffer[]) {
  yield* buffers;
}
