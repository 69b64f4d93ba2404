import { defineErrors } from '#src/kernel/index.ts';

export const filesErrors = defineErrors({
  FH_FILE_DAMAGED: {
    status: 500,
    title: 'The file cannot be read',
    hint: 'Tell your operator the request id: the stored content is missing or was changed.',
  },
});
