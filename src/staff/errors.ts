import { defineErrors } from '#src/kernel/index.ts';

export const staffErrors = defineErrors({
  FH_STAFF_SESSION_REQUIRED: {
    status: 401,
    title: 'You are not signed in to the console',
    hint: 'Sign in. A session locks after 30 minutes without use.',
  },
  FH_STEP_UP_REQUIRED: {
    status: 403,
    title: 'Confirm that it is you',
    hint: 'Type your password and a code from your app. It is good for five minutes.',
  },
  FH_STAFF_SETUP_NOT_FOUND: {
    status: 404,
    title: 'This set-up link cannot be used',
    hint: 'It was used or replaced, or is older than 24 hours. A new one is printed when Freehold starts without staff.',
  },
  FH_STAFF_EXISTS: {
    status: 409,
    title: 'There is a staff member with this e-mail address already',
    hint: 'Sign in, or use a set-up link that was made for this address.',
  },
  FH_STAFF_EMAIL_FIXED: {
    status: 422,
    title: 'This set-up link was made for another e-mail address',
    hint: 'Use the address that the link was made for.',
  },
});
