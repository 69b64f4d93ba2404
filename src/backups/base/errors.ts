import { defineErrors } from '#src/kernel/index.ts';

export const baseBackupErrors = defineErrors({
  FH_BASE_BACKUP_FAILED: {
    status: 500,
    title: 'The base backup failed',
    hint: 'Nothing counts as a backup that did not end well; the next one starts from the beginning.',
    retry: 'later',
  },
  FH_BASE_BACKUP_NO_REGION: {
    status: 503,
    title: 'No region took the base backup',
    hint: 'Look at what the regions answer: ./freehold status',
    retry: 'later',
  },
  FH_BASE_BACKUP_MISMATCH: {
    status: 500,
    title: 'The base backup is not what PostgreSQL says it sent',
    retry: 'later',
  },
  FH_BASE_BACKUP_NAME_TAKEN: {
    status: 500,
    title: 'Another object has the name of this one in a region',
    hint: 'Two writers use one region as the same cluster, or an object was changed. Nothing was overwritten.',
  },
  FH_BACKUP_OBJECT_MISSING: {
    status: 500,
    title: 'A backup refers to an object that is not in the region',
    hint: 'Restore from the other region, and copy the backup from there.',
  },
  FH_BACKUP_OBJECT_DAMAGED: {
    status: 500,
    title: 'An object of a backup cannot be read',
    hint: 'Restore from the other region, and copy the object from there.',
  },
  FH_RESTORE_FOLDER_IN_USE: {
    status: 409,
    title: 'The folder to restore into is not empty',
    hint: 'Name a folder that does not exist yet.',
  },
  FH_BACKUP_UNKNOWN_DATABASE: { status: 404, title: 'The backup does not hold this database' },
});
