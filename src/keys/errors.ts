import { defineErrors } from '#src/kernel/index.ts';

export const keyErrors = defineErrors({
  FH_KEY_UNSEAL: {
    status: 422,
    title: 'What was sealed cannot be opened',
    hint: 'It was altered, cut short, or sealed for something else. Use an unaltered copy.',
  },
  FH_KEY_DESTROYED: {
    status: 410,
    title: 'The key is gone',
    hint: 'What was sealed under it can never be read again.',
  },
  FH_KEY_STORE_UNSAFE: {
    status: 500,
    title: 'The key store is open to others',
    hint: 'Make its folder 0700 and its files 0600, owned by the user who runs control.',
  },
  FH_KEY_STORE_DAMAGED: {
    status: 500,
    title: 'The key store is damaged',
    hint: 'Put back the copy of the key folder that belongs to this data folder. Nothing was changed.',
  },
  FH_KEY_STORE_EXISTS: {
    status: 409,
    title: 'There is a key store already',
    hint: 'Nothing was changed. Rebuild into an empty folder, or move this one away first, if you are sure that nothing needs it.',
  },
  FH_RECOVERY_KIT_MISTYPED: {
    status: 422,
    title: 'The recovery kit was not typed as it is printed',
    hint: 'Compare what is named with the page and type it again.',
  },
  FH_RECOVERY_KIT_UNKNOWN: {
    status: 404,
    title: 'The region has no such recovery kit',
    hint: 'A newer kit has replaced it, or the region is of another installation. Find the newer page, or name another region.',
  },
  FH_KEY_NOT_ESCROWED: {
    status: 503,
    title: 'No region holds the key yet',
    hint: 'Nothing is sealed under a key that only this machine has. Look at the regions; it goes on by itself when one is back.',
    retry: 'soon',
  },
  FH_KEY_NOT_IN_REGION: {
    status: 500,
    title: 'The region does not hold a key that its backups need',
    hint: 'It is written again within minutes, while the key store is there. Without this the region alone is no backup.',
  },
  FH_KEY_COPY_DAMAGED: {
    status: 500,
    title: 'A key in the region does not open under the root key',
    hint: 'It was changed, or is of another installation. Remove the object there, and it is written again from the key store.',
  },
  FH_KEY_ESCROW_CONFLICT: {
    status: 409,
    title: 'A region holds another key under the same name',
    hint: 'Either the region belongs to another installation (correct its address), or the object was damaged there: then remove it, and it is written again.',
  },
  FH_CERTIFICATE_REFUSED: {
    status: 422,
    title: 'The local authority does not sign this certificate',
  },
  FH_KEY_AGE_RECIPIENT: {
    status: 422,
    title: 'This is no recipient of age',
    hint: 'Paste one line that begins with age1, as age-keygen prints it.',
  },
});
