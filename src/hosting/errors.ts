import { defineErrors } from '#src/kernel/index.ts';

export const hostingErrors = defineErrors({
  FH_APP_INVALID: {
    status: 500,
    title: 'The app does not follow the contract of apps',
    hint: 'Mend the named fields; docs/writing-an-app.md describes them.',
  },
  FH_APP_UNKNOWN: { status: 404, title: 'There is no such app here' },
  FH_APP_FAULTY: {
    status: 500,
    title: 'The app made a mistake',
    hint: 'Try again. If it happens again, tell your operator the request id.',
  },
  FH_APP_SIGN_IN_REQUIRED: { status: 401, title: 'Nobody is signed in', hint: 'Sign in and try again.' },
  FH_APP_ROLE_REQUIRED: {
    status: 403,
    title: 'Your role does not allow this',
    hint: 'Ask an owner or administrator of your account.',
  },
  FH_APP_TOKEN_READS_ONLY: {
    status: 403,
    title: 'This API token only reads, and the request would change something',
    hint: 'Make one that may write on your account page.',
  },
  FH_APP_UPLOAD_INVALID: {
    status: 400,
    title: 'The upload is not valid',
    hint: 'Send multipart/form-data with exactly one file in the field `file`.',
  },
  FH_APP_CONTEXT_ENDED: {
    status: 500,
    title: 'The app went on after its request had ended',
    hint: 'App authors: await all work, or hand it to context.background.',
  },
});
