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
  FH_CERTIFICATE_REFUSED: {
    status: 422,
    title: 'The local authority does not sign this certificate',
  },
});
