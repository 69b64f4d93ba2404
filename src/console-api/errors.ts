import { defineErrors } from '#src/kernel/index.ts';

export const consoleErrors = defineErrors({
  FH_CONFIRMATION_MISSING: {
    status: 400,
    title: 'This needs the name of the tenant as confirmation',
    hint: 'Send {"confirm": NAME} with the name of the tenant, or type it where you are asked.',
  },
});
