/** Where the tests are that several faults name. */
import type { FaultTest } from './types.ts';

export const shipping = 'src/backups/shipping';
export const base = 'src/backups/base';
export const restore = 'src/backups/restore/restore-database.test.ts';
export const verification = 'src/backups/verification/verify-backup.test.ts';
export const drill = 'src/backups/verification/drill.test.ts';
export const planning = 'src/backups/catalogue/plan.test.ts';
export const retention = 'src/backups/retention';
export const recoveryFaults = 'src/clusters/recovery/faults.test.ts';
export const panic = 'src/clusters/recovery/panic.test.ts';
export const standby = 'src/clusters/standby/standby.test.ts';
export const dumps = 'src/backups/dumps/dumps.test.ts';
export const disk = 'src/objects/disk-region.test.ts';
export const s3 = 'src/objects/s3-faults.test.ts';

export const spoiltSegment: FaultTest = [
  recoveryFaults,
  `a segment in the middle, \${what}: an error that names it, whatever the target`,
];
export const unfit: FaultTest = [
  recoveryFaults,
  'a backup that is not fit for it is refused before anything is started',
];
