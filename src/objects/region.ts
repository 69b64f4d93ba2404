import type { Readable } from 'node:stream';
import type { ObjectInfo, ObjectName } from './types.ts';

export interface PutResult {
  /** `exists`: another object has the name; it was not touched. */
  readonly outcome: 'created' | 'exists';
  readonly sizeBytes: number;
  /** Of the bytes given, hexadecimal. */
  readonly sha256: string;
}

export interface GetOptions {
  /** First byte, from 0. */
  readonly from?: number;
  /** First byte that is not wanted any more. */
  readonly to?: number;
}

/**
 * One region: complete, immutable objects in one place. Every implementation passes `region-store.contract.ts`.
 * Errors: FH_REGION_UNAVAILABLE (worth another try: network, throttling, 5xx, disk away), FH_REGION_REFUSED (credentials, no such bucket: a person
 * must act), FH_REGION_DAMAGED (what was read back is not what was written; it is not there any more), FH_STORAGE_FULL (its disk or quota; worth another
 * try when somebody made room). An error of the content that is given is passed on as it is, and so is the reason of the signal. Nothing of credentials is in them.
 */
export interface RegionStore {
  /** As configured, for example `eu_west`; in metrics, messages and the catalogue. */
  readonly region: string;
  /**
   * Writes an object under a name that nobody has yet, and resolves when its bytes were read back and have the same SHA-256. Streams of any length; nothing
   * is visible under the name before all of it is. `expectedBytes`: about how long it will be; only needed beyond 100 GB, for the size of the parts.
   * Content that is refused before it was read is still the caller's to let go of: its file or connection is open.
   * After an error the name may be taken all the same (an answer was lost on the way): whoever tries again compares on `exists`.
   */
  put(
    name: ObjectName,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    options?: { readonly expectedBytes?: number; readonly signal?: AbortSignal },
  ): Promise<PutResult>;
  /** undefined: no such object. */
  get(name: ObjectName, options?: GetOptions): Promise<Readable | undefined>;
  stat(name: ObjectName): Promise<ObjectInfo | undefined>;
  /** Every object whose name begins with `prefix` (ends with `/`, or empty: all), in order of names, after `after`. */
  list(prefix: string, options?: { after?: ObjectName }): AsyncIterable<ObjectInfo>;
  /** Does nothing when it is gone. */
  remove(name: ObjectName): Promise<void>;
  /** Removes what uploads that never ended left behind before this moment. @returns how many */
  removeUnfinished(before: Date): Promise<number>;
}
