import { defineErrors } from '#src/kernel/index.ts';

export const releaseErrors = defineErrors({
  FH_APP_MANIFEST_INVALID: {
    status: 422,
    title: 'freehold.app.json cannot be used',
    hint: 'Mend what is named, then see that nothing is left with: ./freehold app check FOLDER',
  },
});
