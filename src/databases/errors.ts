import { defineErrors } from '#src/kernel/index.ts';

export const databaseErrors = defineErrors({
  FH_DB_BUSY: {
    status: 503,
    title: 'All database connections are in use',
    hint: 'Try again in a moment.',
    retry: 'soon',
  },
  FH_DB_LEASE_ENDED: { status: 500, title: 'The database was used after the callback that it belongs to had ended' },
  FH_DB_CANCELLED: { status: 503, title: 'The work was cancelled before it was done', retry: 'soon' },
  FH_DB_EVICTED: { status: 503, title: 'The tenant was changed while the work was under way', retry: 'soon' },
  FH_DB_TIMEOUT: {
    status: 503,
    title: 'The work on the database took too long and was ended',
    hint: 'Ask for less at a time.',
    retry: 'later',
  },
  FH_DB_LOCK_TIMEOUT: { status: 503, title: 'Somebody else is changing the same data', retry: 'soon' },
  FH_DB_UNAVAILABLE: { status: 503, title: 'The database does not answer', retry: 'soon' },
  FH_DB_OUTCOME_UNKNOWN: {
    status: 503,
    title: 'The connection was lost while a change was being saved',
    hint: 'Look whether the change is there before you make it again.',
  },
  FH_DB_NOT_IN_REGIONS: {
    status: 503,
    title: 'The change is saved, but not in every region yet',
    hint: 'Look whether the change is there before you make it again. It is safe when the regions answer again.',
  },
  FH_DB_ROLLED_BACK: { status: 500, title: 'The transaction was rolled back because one of its statements had failed' },
  FH_DB_STATEMENT_REFUSED: {
    status: 500,
    title: 'This statement would change the connection for those who use it next',
  },
  FH_DB_WRONG_DATABASE: { status: 500, title: 'A connection did not lead to the database it was meant for' },
  FH_DB_NAME_INVALID: { status: 500, title: 'This is not the name of a tenant database' },
  FH_DB_NOT_FOUND: { status: 404, title: 'There is no such database' },
  FH_DB_IN_USE: { status: 503, title: 'The database still has connections', retry: 'soon' },
  FH_DB_NOT_PORTABLE: {
    status: 500,
    title: 'The database holds something whose owner cannot be changed',
    hint: 'Neither migrations nor the app may use ALTER DEFAULT PRIVILEGES or policies FOR a role, or take CREATE on its own schema away from itself.',
  },
  FH_DB_WRONG_KIND: {
    status: 500,
    title: 'The database is of another kind than its app',
    hint: 'Apps that are part of the program and apps that run as processes keep their data differently: export the tenant and import it under the other app.',
  },
  FH_DB_MIGRATION_INVALID: {
    status: 500,
    title: 'A migration file is not valid',
    hint: 'Name the files NNNN_title.sql, counting from 0001 without gaps, and leave BEGIN and COMMIT to the runner.',
  },
  FH_DB_MIGRATION_CHANGED: {
    status: 500,
    title: 'A migration that was already run has been changed',
    hint: 'Put the file back as it was and add a new migration.',
  },
  FH_DB_MIGRATION_UNKNOWN: {
    status: 500,
    title: 'The database is newer than this release',
    hint: 'Run the release that migrated it, or a newer one.',
  },
  FH_DB_MIGRATION_FAILED: { status: 500, title: 'A migration failed; nothing of it was kept' },
});
