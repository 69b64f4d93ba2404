import { createHash } from 'node:crypto';

/** Content on its way into a region: counted and hashed as it passes, once. */
export interface MeasuredContent extends AsyncIterable<Uint8Array> {
  /** So far. */
  readonly sizeBytes: number;
  /** Hexadecimal; only when all of it has passed. */
  sha256(): string;
  /** The error with which the content itself, or the caller's signal, ended it; so that it is not taken for one of the region. */
  readonly failure: { readonly error: unknown } | undefined;
}

export function measureContent(content: Uint8Array | AsyncIterable<Uint8Array>, signal?: AbortSignal): MeasuredContent {
  const hash = createHash('sha256');
  let digest: string | undefined;
  let sizeBytes = 0;
  let failure: { error: unknown } | undefined;
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    get failure() {
      return failure;
    },
    sha256() {
      digest ??= hash.digest('hex');
      return digest;
    },
    async *[Symbol.asyncIterator]() {
      try {
        for await (const chunk of untilAborted(content instanceof Uint8Array ? once(content) : content, signal)) {
          hash.update(chunk);
          sizeBytes += chunk.byteLength;
          yield chunk;
        }
      } catch (error) {
        failure = { error };
        throw error;
      }
    },
  };
}

/** @returns SHA-256 of a stream, hexadecimal, read to its end */
export async function hashStream(content: AsyncIterable<Uint8Array>): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of content) {
    hash.update(chunk);
    sizeBytes += chunk.byteLength;
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** Ends with the signal's reason at once, even while the content hangs: an asynchronous generator cannot be left while it waits, so it is not waited for. */
async function* untilAborted<T>(content: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  const iterator = content[Symbol.asyncIterator]();
  let waiting: ((reason: unknown) => void) | undefined;
  const abort = () => waiting?.(signal!.reason);
  signal?.addEventListener('abort', abort);
  let isEnded = false;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        waiting = reject;
        iterator.next().then(resolve, (error) => {
          isEnded = true;
          reject(error);
        });
      });
      if (next.done) {
        isEnded = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal?.removeEventListener('abort', abort);
    if (!isEnded) iterator.return?.().catch(() => undefined);
  }
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
