import type { Readable } from 'node:stream';

/**
 * Names look like `ten_…/ab/ab12…`: lower-case letters, digits and `_` in segments joined by `/`.
 * There is no dot and no empty segment, so no name can leave the store.
 */
export type ObjectName = string;

export interface StagedObject {
  readonly sizeBytes: number;
  /** What was staged, read back. */
  open(): Promise<Readable>;
  /**
   * Gives the object its name, durably. Create-only: an object that has the name already stays as it is (`exists`).
   * May be called again with other names; the staged bytes stay until `discard`.
   */
  publish(name: ObjectName): Promise<'created' | 'exists'>;
  /** Drops the staged bytes; published objects stay. Always call it, whatever happened. */
  discard(): Promise<void>;
}

export interface ObjectInfo {
  readonly name: ObjectName;
  readonly sizeBytes: number;
  readonly createdAt: Date;
}

/** Where complete, immutable objects lie. Every implementation passes `object-store.contract.ts`. */
export interface ObjectStore {
  /** Writes the bytes somewhere nobody else sees; they are on the disk when the promise resolves. Nothing stays when it rejects. */
  stage(content: AsyncIterable<Uint8Array>): Promise<StagedObject>;
  /** The object's bytes; undefined: no such object. */
  open(name: ObjectName): Promise<Readable | undefined>;
  has(name: ObjectName): Promise<boolean>;
  /** Every object whose name begins with `folder/`. */
  list(folder: string): AsyncIterable<ObjectInfo>;
  /** Does nothing when it is gone. */
  remove(name: ObjectName): Promise<void>;
  /** Removes every object whose name begins with `folder/`. */
  removeAll(folder: string): Promise<void>;
  /** Removes what was staged before this moment and never discarded: left by a process that died. @returns how many */
  removeStaged(before: Date): Promise<number>;
}
