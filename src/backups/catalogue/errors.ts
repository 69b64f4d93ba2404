import { defineErrors } from '#src/kernel/index.ts';

export const catalogueErrors = defineErrors({
  FH_BACKUP_HISTORY_MALFORMED: {
    status: 500,
    title: 'A timeline history file is not as PostgreSQL writes it',
    hint: 'Restore from the other region.',
  },
  FH_BACKUP_NOT_RESTORABLE: {
    status: 409,
    title: 'This moment cannot be restored from this region',
    hint: 'Choose another moment, or restore from the other region.',
  },
});
