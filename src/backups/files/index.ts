/**
 * files: tenants' files in every region, the same sealed bytes under the same names. Invariant: what a region has under a name is the whole content.
 * Callers: control (every minute, and for restores).
 */
export { createFileReplicator, type FileReplicator, type ReplicationResult } from './replicate.ts';
