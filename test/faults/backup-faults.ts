/**
 * The faults that backup tools of the field have had, F01 to F36, and what becomes of each here. docs/backup-faults.md is written from it
 * (`node test/support/backup-fault-docs.ts`), backup-faults.test.ts holds it against the tests that it names,
 * backup-fault-run.test.ts against what the product does.
 */
import { otherFaults } from './backup-faults/backups.ts';
import type { BackupFault } from './backup-faults/types.ts';
import { walFaults } from './backup-faults/wal.ts';

export type * from './backup-faults/types.ts';

export const backupFaults: readonly BackupFault[] = [...walFaults, ...otherFaults];
