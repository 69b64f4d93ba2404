import { defineErrors } from '#src/kernel/index.ts';

export const objectErrors = defineErrors({
  FH_FILE_TOO_LARGE: {
    status: 413,
    title: 'The file is too large',
    hint: 'Send a smaller file. Nothing of this one was kept.',
  },
  FH_STORAGE_FULL: {
    status: 507,
    title: 'There is no room left to store this',
    hint: 'Tell your operator; nothing of this request was kept. Operators: free space on the disk of the data folder.',
    retry: 'later',
  },
});

/** ENOSPC and EDQUOT as FH_STORAGE_FULL; any other error as it is. */
export function toStorageError(error: unknown): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT' ? objectErrors.FH_STORAGE_FULL({ cause: error }) : error;
}
