import { defineErrors } from '#src/kernel/index.ts';

export const tenantErrors = defineErrors({
  FH_TENANT_NOT_FOUND: {
    status: 404,
    title: 'There is no such tenant',
    hint: 'List the tenants with: ./freehold tenant list',
  },
  FH_TENANT_NAME_INVALID: {
    status: 400,
    title: 'This name cannot be a tenant name',
    hint: 'Use 3 to 40 characters: small letters a-z, digits, and single hyphens between them.',
  },
  FH_TENANT_NAME_RESERVED: {
    status: 400,
    title: 'This name is reserved',
    hint: 'Choose another name, for example the name of the company.',
  },
  FH_TENANT_NAME_TAKEN: {
    status: 409,
    title: 'This name is taken',
    hint: 'Choose another name. Names of deleted and renamed tenants stay held back for a while, so that nobody inherits them.',
  },
  FH_TENANT_TITLE_INVALID: {
    status: 400,
    title: 'This title cannot be used',
    hint: 'Use 1 to 120 visible characters.',
  },
  FH_TENANT_EMAIL_INVALID: {
    status: 400,
    title: 'This is not an e-mail address',
    hint: 'Write it as name@example.com, without spaces.',
  },
  FH_TENANT_BUSY: {
    status: 409,
    title: 'Another operation is running on this tenant',
    hint: 'Wait until it has finished, then try again.',
    retry: 'later',
  },
  FH_SNAPSHOT_NOT_FOUND: {
    status: 404,
    title: 'There is no such snapshot of this tenant',
    hint: 'Snapshots are kept for a day. An earlier state comes from the backups: ./freehold restore TENANT --to TIME',
  },
  FH_RESIDENCY_INVALID: {
    status: 400,
    title: 'These are not places',
    hint: 'Places are lower-case words with hyphens, from the large to the small: eu, eu-de, us-east. At most 20 of them.',
  },
  FH_RESIDENCY_NOT_KEPT: {
    status: 409,
    title: 'Data would lie outside of the places that were promised for it',
    hint: 'FREEHOLD_PLACE and FREEHOLD_REGION_A_PLACE, FREEHOLD_REGION_B_PLACE say where things lie; ./freehold tenant residency NAME --allow PLACE says where a tenant may be. See docs/residency.md.',
  },
  FH_MOVE_CONFIRMED: {
    status: 409,
    title: 'There is no move of this tenant that could be confirmed or taken back',
    hint: 'A move can be taken back for seven days, unless somebody confirms it. Later: ./freehold tenant move NAME --to EDITION',
  },
  FH_RESTORE_MOMENT_INVALID: {
    status: 400,
    title: 'This is not a moment to go back to',
    hint: 'Write a time that has been, with its time zone, for example 2026-11-22T03:00:00Z.',
  },
  FH_RESTORE_AMBIGUOUS: {
    status: 409,
    title: 'Several tenants are meant by this name',
    hint: 'Say which one by its id instead of its name.',
  },
  FH_RECOVERY_POINT_UNAVAILABLE: {
    status: 409,
    title: 'No commit can wait for regions: nothing is shipped to any',
    hint: 'Unset FREEHOLD_BACKUPS. For an external server its own standby must confirm commits.',
  },
  FH_RESTORE_UNAVAILABLE: {
    status: 409,
    title: 'This installation keeps no backups to restore from',
    hint: 'Set up the regions, see docs/operations.md.',
  },
  FH_TENANT_STATE: { status: 409, title: 'The tenant is not in a state that allows this' },
  FH_TENANT_NOT_ACTIVE: { status: 503, title: 'The tenant is not open at the moment', retry: 'later' },
  FH_TENANT_EDITION_UNAVAILABLE: {
    status: 400,
    title: 'This edition is not available here',
    hint: 'Private Cloud needs servers of our own, not FREEHOLD_DATABASE_URL. Leave --edition out, or use --edition standard.',
  },
  FH_TENANT_APP_UNKNOWN: { status: 400, title: 'There is no such app' },
  FH_OPERATION_NOT_FOUND: { status: 404, title: 'There is no such operation' },
  FH_OPERATION_STATE: { status: 409, title: 'The operation is not in a state that allows this' },
  FH_OPERATION_SHOWN: {
    status: 410,
    title: 'This was shown once and is gone',
    hint: 'Make a new invitation in the tenant, or ask an administrator of the tenant to do so.',
  },
  FH_KEY_NOT_DESTROYED: {
    status: 500,
    title: 'The key of a deleted tenant could not be destroyed',
    hint: 'It is tried again. The failed operation says why: ./freehold operation list',
  },
  FH_CERTIFICATE_NOT_FOUND: { status: 404, title: 'There is no such deletion certificate' },
});
