/**
 * objects: the port `ObjectStore` and its implementation on a disk.
 * Objects are complete and immutable: staged (written and fsynced) first, then published under a name, create-only.
 * Invariant: a name is visible ⇒ all its bytes are durable. Called by files; backups and regions use the same port.
 */
export { createDiskStore } from './disk.ts';
export { createDiskRegion, type DiskRegionOptions } from './disk-region.ts';
export { objectErrors, toStorageError } from './errors.ts';
export type { GetOptions, PutResult, RegionStore } from './region.ts';
export { regionErrors } from './region-errors.ts';
export { requireRoom } from './room.ts';
export type { ObjectInfo, ObjectName, ObjectStore, StagedObject } from './types.ts';
