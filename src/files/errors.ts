import { defineErrors } from '#src/kernel/index.ts';

export const filesErrors = defineErrors({
  FH_FILE_DAMAGED: {
    status: 500,
    title: 'The file cannot be read',
    hint: 'Tell your operator the request id: the stored content is missing or was changed.',
  },
  FH_FOLDER_INVALID: {
    status: 422,
    title: "What was read of the app's folder cannot be kept",
    hint: 'What was kept before stays. Remove or rename what the message names, in the app.',
  },
  FH_FOLDER_TOO_LARGE: {
    status: 413,
    title: "The app's folder is too large",
    hint: 'What was kept before stays. Remove files in the app, or raise "folderMb" in its manifest.',
  },
  FH_FOLDER_MOVED: {
    status: 503,
    title: "A content of the app's folder was removed while it was read",
    retry: 'soon',
  },
  FH_FILE_NOT_IN_REGIONS: {
    status: 503,
    title: 'The file could not be saved in every region',
    hint: 'Nothing was saved. Try again in a minute; if it goes on, tell your operator.',
    retry: 'soon',
  },
});
