/**
 * objects: the port `ObjectStore` with its implementation on a disk, and the port `RegionStore` with a folder and an S3 bucket.
 * Objects are complete and immutable: written and made durable first, then visible under a name, create-only.
 * Invariant: a name is visible ⇒ all its bytes are durable; a `put` of a region resolves only when they were read back.
 * Called by files (object store) and backups (regions).
 */
export { createDiskStore } from './disk.ts';
export { createDiskRegion, type DiskRegionOptions } from './disk-region.ts';
export { objectErrors, toStorageError } from './errors.ts';
export type { GetOptions, PutResult, RegionStore } from './region.ts';
export {
  type OpenRegionOptions,
  openRegion,
  parseRegionAddress,
  type RegionAddress,
  type RegionCredentials,
} from './region-address.ts';
export { regionErrors } from './region-errors.ts';
export { requireRoom } from './room.ts';
export type { ObjectInfo, ObjectName, ObjectStore, StagedObject } from './types.ts';
