import { defineErrors } from '#src/kernel/index.ts';

export const portabilityErrors = defineErrors({
  FH_ROWS_HIDDEN: {
    status: 422,
    title: 'The app keeps rows of its database from being read',
    hint: 'As the app: ALTER TABLE … NO FORCE ROW LEVEL SECURITY, and GRANT SELECT on its own tables to itself.',
  },
  FH_ARCHIVE_INVALID: {
    status: 422,
    title: 'The archive cannot be used',
    hint: 'Use an unaltered archive that was written by: ./freehold tenant export NAME',
  },
  FH_ARCHIVE_VERSION: {
    status: 422,
    title: 'The archive was made by another version',
    hint: 'Bring this installation to the version that the archive names, or export the tenant again.',
  },
  FH_ARCHIVE_SCHEMA: {
    status: 422,
    title: 'The archive changes more than data',
    hint: 'Use an unaltered archive. Nothing of it was kept.',
  },
  FH_ARCHIVE_DIFFERS: {
    status: 422,
    title: 'What was loaded is not what was exported',
    hint: 'Nothing of it was kept. Export the tenant again, then import that archive.',
  },
  FH_ARCHIVE_CHANGED: {
    status: 409,
    title: 'Files were removed while the archive was written',
    hint: 'Export the tenant again.',
    retry: 'soon',
  },
  FH_ARCHIVE_NOT_FOUND: {
    status: 404,
    title: 'This archive is not there any more',
    hint: 'Export the tenant again with: ./freehold tenant export NAME',
  },
});
