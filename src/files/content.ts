import { createHash } from 'node:crypto';
import { objectErrors } from '#src/objects/index.ts';
import { filesErrors } from './errors.ts';

export interface Measured {
  readonly content: AsyncIterable<Uint8Array>;
  /** Valid after the content was read to its end. */
  result(): { readonly sizeBytes: number; readonly sha256: string };
}

/** Counts and hashes what passes through; more than `maxBytes` is FH_FILE_TOO_LARGE at the first byte too many. */
export function measure(source: AsyncIterable<Uint8Array>, maxBytes: number): Measured {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let result: ReturnType<Measured['result']> | undefined;
  async function* content() {
    for await (const chunk of source) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) throw objectErrors.FH_FILE_TOO_LARGE({ detail: `it may have ${maxBytes} bytes` });
      hash.update(chunk);
      yield chunk;
    }
    result = { sizeBytes, sha256: hash.digest('hex') };
  }
  return {
    content: content(),
    result() {
      if (!result) throw new Error('content was not read to its end');
      return result;
    },
  };
}

/**
 * Passes content on and compares its hash; FH_FILE_DAMAGED before the last chunk is given away, so that nobody who
 * counts bytes takes damaged content for complete.
 */
export async function* verify(source: AsyncIterable<Uint8Array>, sha256: string): AsyncIterable<Uint8Array> {
  const hash = createHash('sha256');
  let held: Uint8Array | undefined;
  for await (const chunk of source) {
    if (held) yield held;
    hash.update(chunk);
    held = chunk;
  }
  if (hash.digest('hex') !== sha256) throw filesErrors.FH_FILE_DAMAGED();
  if (held) yield held;
}
