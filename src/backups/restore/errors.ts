import { defineErrors } from '#src/kernel/index.ts';

export const restoreErrors = defineErrors({
  FH_RESTORE_DATABASE_ABSENT: {
    status: 404,
    title: 'At that moment there was no such database',
    hint: 'Choose a moment at which the tenant existed: ./freehold backups TENANT lists them.',
  },
  FH_RESTORE_DATABASE_INCOMPLETE: {
    status: 409,
    title: 'The database was made by copying the files of another one, which was not restored with it',
    hint: 'Restore it together with the database that it was cloned from.',
  },
});
