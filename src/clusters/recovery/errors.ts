import { defineErrors } from '#src/kernel/index.ts';

export const recoveryErrors = defineErrors({
  FH_RECOVERY_UNFIT: { status: 500, title: 'This data folder cannot be recovered from WAL' },
  FH_RECOVERY_TARGET_NOT_REACHED: {
    status: 409,
    title: 'The WAL ends before the moment that was asked for',
    hint: 'Choose an earlier moment, or another base backup or region.',
  },
  FH_RECOVERY_WAL_DAMAGED: {
    status: 500,
    title: 'A segment of the WAL is damaged',
    hint: 'Restore from the other region, or to a moment before it.',
  },
  FH_RECOVERY_WAL_UNAVAILABLE: { status: 503, title: 'The WAL cannot be read now', retry: 'later' },
  FH_RECOVERY_FAILED: { status: 500, title: 'PostgreSQL could not replay the WAL' },
});
