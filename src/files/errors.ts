import { defineErrors } from '#src/kernel/index.ts';

export const filesErrors = defineErrors({
  FH_FILE_TOO_LARGE: {
    status: 413,
    title: 'The file is too large',
    hint: 'Send a smaller file. Nothing of this one was kept.',
  },
  FH_FILE_DAMAGED: {
    status: 500,
    title: 'The file cannot be read',
    hint: 'Tell your operator the request id: the stored content is missing or was changed.',
  },
});
