import { defineErrors } from '#src/kernel/index.ts';

const restoreElsewhere =
  'Until this is mended, restore from the other region. Verify that one too: ./freehold backup verify --region NAME';

export const verificationErrors = defineErrors({
  FH_VERIFICATION_FAILED: {
    status: 500,
    title: 'A backup was restored and is not what it should be',
    hint: 'See the findings: ./freehold backup verify, or the backups page of the console.',
  },
  FH_DRILL_FAILED: {
    status: 500,
    title: 'The installation could not be rebuilt from one region',
    hint: 'See the findings: ./freehold drill, or the backups page of the console.',
  },
  FH_VERIFICATION_UNKNOWN_BACKUP: {
    status: 404,
    title: 'The region has no such base backup',
    hint: 'See what there is: ./freehold backup list',
  },
  FH_VERIFICATION_UNKNOWN_REGION: { status: 404, title: 'There is no such region' },
  FH_VERIFICATION_UNKNOWN_SERVER: {
    status: 404,
    title: 'There is no private server of this name with backups that could be verified',
    hint: 'See what there is, and whether it is up: ./freehold status. Without --cluster it is the shared server.',
  },
  FH_VERIFICATION_BUSY: {
    status: 409,
    title: 'A verification or a drill goes on',
    hint: 'One at a time. See how far it is on the backups page of the console.',
    retry: 'later',
  },
  FH_VERIFY_ROWS_DIFFER: {
    status: 500,
    title: 'The restored rows are not those that the tenant had',
    hint: restoreElsewhere,
  },
  FH_VERIFY_NOTHING_COMPARED: {
    status: 500,
    title: 'There are tenants in the backup, and of none of them the rows could be compared',
    hint: 'The log of control says why for each: see log/control.log. Try it at a quiet hour: ./freehold backup verify',
  },
  FH_VERIFY_SOURCE_UNREADABLE: {
    status: 500,
    title: 'The running database of a tenant cannot be read, so a backup of it cannot be compared with it',
    hint: 'See log/control.log. When the running database is damaged, restore the tenant: ./freehold restore TENANT --to TIME',
  },
  FH_VERIFY_BACKUP_UNREADABLE: {
    status: 500,
    title: 'A base backup is in the region and cannot be read',
    hint: 'Take a new one: ./freehold backup run. Until it is verified, restore from the other region.',
  },
  FH_VERIFY_TENANT_MISSING: {
    status: 500,
    title: 'A tenant that was there at the moment of the loss is not in the rebuilt installation',
    hint: restoreElsewhere,
  },
  FH_VERIFY_TABLE_MISSING: {
    status: 500,
    title: 'A table is missing in the restored database',
    hint: restoreElsewhere,
  },
  FH_VERIFY_UNREADABLE: {
    status: 500,
    title: 'The restored database cannot be read',
    hint: restoreElsewhere,
  },
  FH_VERIFY_STRUCTURE_DAMAGED: {
    status: 500,
    title: 'pg_amcheck finds damage in the restored database',
    hint: 'When the running database shows it too, an index is mended by REINDEX; a table needs a restore to before the damage.',
  },
  FH_VERIFY_TOOL_MISSING: {
    status: 500,
    title: 'The structure of the restored database could not be checked, because a program of PostgreSQL is missing',
    hint: "Install PostgreSQL's own tools and its amcheck extension of the server's version (Debian: postgresql-NN, Red Hat: postgresqlNN-contrib).",
  },
  FH_VERIFY_UNSAFE_SETTING: {
    status: 500,
    title: 'The running server has a setting with which its backups cannot be relied on',
    hint: 'Turn it on again (ALTER SYSTEM RESET, then SELECT pg_reload_conf()), and take a base backup: ./freehold backup run',
  },
  FH_VERIFY_COLLATION: {
    status: 500,
    title: 'The order of texts has changed since the indexes were built',
    hint: "After a restore here, REINDEX the database and ALTER DATABASE … REFRESH COLLATION VERSION; the system's locale package was updated.",
  },
  FH_VERIFY_CANARY_MISSING: {
    status: 500,
    title: 'The restored control database does not hold exactly the canaries of the moment',
    hint: restoreElsewhere,
  },
  FH_VERIFY_NOT_ANSWERING: {
    status: 500,
    title: 'The rebuilt installation does not let a tenant in',
    hint: 'Compare its roles and passwords in the control database with those of the running one.',
  },
  FH_VERIFY_FILES_MISSING: {
    status: 500,
    title: 'The region lacks files that a tenant has had for more than an hour',
    hint: 'They are brought to the regions every half minute: see whether the region takes them, and log/control.log.',
  },
});
