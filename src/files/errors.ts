import { defineErrors } from '#src/kernel/index.ts';

export const filesErrors = defineErrors({
  FH_FILE_DAMAGED: {
    status: 500,
    title: 'The file cannot be read',
    hint: 'Tell your operator the request id: the stored content is missing or was changed.',
  },
  FH_FILE_NOT_IN_REGIONS: {
    status: 503,
    title: 'The file could not be saved in every region',
    hint: 'Nothing was saved. Try again in a minute; if it goes on, tell your operator.',
    retry: 'soon',
  },
});
