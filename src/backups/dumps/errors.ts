import { defineErrors } from '#src/kernel/index.ts';

export const dumpErrors = defineErrors({
  FH_DUMP_FAILED: {
    status: 500,
    title: 'The dump of a tenant failed',
    hint: 'Nothing of it is in a region; the next run tries again.',
    retry: 'later',
  },
  FH_DUMP_STANDBY_BEHIND: {
    status: 503,
    title: 'The standby has not replayed what the dump must hold',
    retry: 'later',
  },
  FH_DUMP_NOT_FOUND: {
    status: 404,
    title: 'There is no such dump',
    hint: 'Dumps are made every night; one is made at once by ./freehold backup dump.',
  },
  FH_DUMP_DAMAGED: {
    status: 500,
    title: 'A dump cannot be read',
    hint: 'Take it from the other region; ./freehold backup dump makes another.',
  },
});
