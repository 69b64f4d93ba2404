import { defineErrors } from '#src/kernel/index.ts';

export const fleetErrors = defineErrors({
  FH_FLEET_RUN_NOT_FOUND: {
    status: 404,
    title: 'There was no migration of the fleet yet',
    hint: 'Begin one: ./freehold migrations run',
  },
  FH_FLEET_TENANT_BUSY: {
    status: 409,
    title: 'An operation has this tenant',
    hint: 'See ./freehold operation list; whatever it is, it ends with the tenant at the newest version.',
    retry: 'later',
  },
});
