import { defineErrors } from '#src/kernel/index.ts';

export const consoleErrors = defineErrors({
  FH_CONFIRMATION_MISSING: {
    status: 400,
    title: 'This needs the name of the tenant as confirmation',
    hint: 'Send {"confirm": NAME} with the name of the tenant, or type it where you are asked.',
  },
  FH_APP_LOG_NOT_OPEN: {
    status: 409,
    title: 'This log is not open',
    hint: 'Open it again. A log that is not read for two minutes is closed.',
  },
});
