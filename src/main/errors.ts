import { defineErrors } from '#src/kernel/index.ts';

export const mainErrors = defineErrors({
  FH_SETTING_INVALID: { status: 500, title: 'A setting is not valid' },
  FH_ALREADY_RUNNING: {
    status: 409,
    title: 'Freehold already runs on this data folder',
    hint: 'Stop it first, or choose another folder with --data DIR (and other ports with --port and --console-port).',
  },
  FH_DATA_UNREACHABLE: { status: 500, title: 'The data folder cannot be used' },
  FH_DATA_FOREIGN: {
    status: 500,
    title: 'This is not an empty folder and not a data folder of Freehold',
    hint: 'Choose an empty folder with --data DIR.',
  },
  FH_PORT_TAKEN: {
    status: 500,
    title: 'A port is taken by another program',
    hint: 'Choose others with --port and --console-port.',
  },
  FH_CONSOLE_HOST: { status: 421, title: 'The console is not reached by this name' },
  FH_START_FAILED: { status: 500, title: 'Freehold could not start' },
  FH_APP_FOLDERS_NOT_KEPT: {
    status: 500,
    title: "Folders of apps could not be copied into the tenants' files",
    hint: 'What lies in them is still on this machine. The log of control says why.',
    retry: 'later',
  },
  FH_RECOVER_NOTHING: { status: 409, title: 'There is nothing that could be recovered from this region' },
  FH_RESTORE_CANARY_MISSING: {
    status: 500,
    title: 'The restored database does not hold the rows that prove its moment',
    hint: 'Nothing was changed. Try the other region, or an earlier moment, and look at ./freehold doctor.',
  },
  FH_DUMP_NO_TENANT: {
    status: 404,
    title: 'There is no tenant of this name that could be dumped now',
    hint: 'See ./freehold tenant list; a tenant that is being made or deleted is not dumped.',
  },
  FH_TENANT_NOT_READABLE: {
    status: 409,
    title: 'The tenant is being changed just now, and its database cannot be read',
    hint: 'Wait until the operation on it is over: ./freehold operation list.',
  },
  FH_DOWNLOAD_NOT_CONFIRMED: {
    status: 403,
    title: 'This download is not confirmed',
    hint: 'A confirmation is good once, for two minutes, in the browser it was given in. Enter your password again.',
  },
  FH_DUMP_UNVERIFIED: {
    status: 500,
    title: 'A dump could not be verified',
    hint: 'It is tried again from the other region; ./freehold doctor says what was found.',
    retry: 'later',
  },
  FH_CANARY_NOT_SHIPPED: {
    status: 503,
    title: 'A change did not come to every region within a minute',
    hint: 'Look at what the shipper and the regions say: ./freehold status',
    retry: 'soon',
  },
  FH_SERVER_MISSING: {
    status: 503,
    title: 'The PostgreSQL server of a tenant is not there',
    hint: 'Look at log/ in the data folder and at ./freehold doctor. A server is never made anew in place of one that is lost.',
    retry: 'later',
  },
  FH_OS_USER: { status: 500, title: 'An operating-system user is missing and could not be created' },
});
