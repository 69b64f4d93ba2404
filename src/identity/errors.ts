import { defineErrors } from '#src/kernel/index.ts';

export const identityErrors = defineErrors({
  FH_SIGN_IN_FAILED: {
    status: 401,
    title: 'E-mail address and password do not belong together',
    hint: 'Check both and try again, or choose a new password: "Forgot your password?"',
  },
  FH_SIGN_IN_THROTTLED: {
    status: 429,
    title: 'Too many wrong passwords',
    hint: 'Wait and try again. A browser that signed in here before is not slowed down by others.',
    retry: 'later',
  },
  FH_BUSY: {
    status: 503,
    title: 'Too many people are signing in at this moment',
    hint: 'Try again in a few seconds.',
    retry: 'soon',
  },
  FH_CODE_REQUIRED: {
    status: 403,
    title: 'Your second factor is needed, too',
    hint: 'Use your passkey, or type the six digits that your app shows now, or one of your recovery codes.',
  },
  FH_CODE_WRONG: {
    status: 403,
    title: 'This code is not right',
    hint: 'Type the six digits that your app shows now, or one of your recovery codes. Each works once: if you have just used it, wait for the next.',
  },
  FH_CODE_THROTTLED: {
    status: 429,
    title: 'Too many wrong codes',
    hint: 'Wait and try again. If it was not you, somebody knows your password: choose a new one.',
    retry: 'later',
  },
  FH_CHALLENGE_NOT_FOUND: {
    status: 401,
    title: 'This sign-in cannot go on',
    hint: 'It took longer than five minutes, or too many codes were wrong. Begin again with your password.',
  },
  FH_SECOND_FACTOR_REQUIRED: {
    status: 403,
    title: 'Your account asks for a second factor',
    hint: 'Set up a passkey or an authenticator app on the page /-/second-factor; everything else waits for it.',
  },
  FH_SECOND_FACTOR_EXISTS: {
    status: 409,
    title: 'An authenticator app is set up already',
    hint: 'Turn it off first, then set up the other one.',
  },
  FH_SECOND_FACTOR_NOT_FOUND: {
    status: 404,
    title: 'There is no such second factor',
    hint: 'Set one up in your account. A set-up that was begun is good for 15 minutes.',
  },
  FH_PASSKEY_SIGN_IN_FAILED: {
    status: 401,
    title: 'This passkey does not sign you in',
    hint: 'Try once more, or sign in with your password. A passkey that was removed from your account, or made for another address, is good for nothing here.',
  },
  FH_PASSKEY_REFUSED: {
    status: 403,
    title: 'This passkey was not accepted',
    hint: 'Try once more. It must be one of yours, made for this address, and verify you with a finger, a face or a PIN, within five minutes.',
  },
  FH_PASSKEY_NOT_FOUND: {
    status: 404,
    title: 'There is no such passkey',
    hint: 'It was removed, or was made for another address than this one.',
  },
  FH_PASSKEY_LIMIT: {
    status: 409,
    title: 'You have ten passkeys',
    hint: 'Remove one that you no longer use.',
  },
  FH_PASSKEY_ASKED_TOO_OFTEN: {
    status: 429,
    title: 'Passkeys are being asked for too fast',
    hint: 'Wait a few seconds.',
    retry: 'soon',
  },
  FH_SESSION_REQUIRED: { status: 401, title: 'You are not signed in', hint: 'Sign in and try again.' },
  FH_ROLE_REQUIRED: {
    status: 403,
    title: 'Your role does not allow this',
    hint: 'Ask an owner or administrator of your account.',
  },
  FH_COOKIE_REFUSED: {
    status: 400,
    title: 'The cookies of this request are not acceptable',
    hint: 'Remove the cookies of this site in your browser and sign in again.',
  },
  FH_PASSWORD_REFUSED: { status: 422, title: 'This password is not accepted' },
  FH_PASSWORD_CHECK_LIMITED: {
    status: 429,
    title: 'Passwords are being checked too fast',
    hint: 'Wait a few seconds.',
  },
  FH_PASSWORD_WRONG: {
    status: 403,
    title: 'The current password is not right',
    hint: 'Type the password that you signed in with.',
  },
  FH_EMAIL_REFUSED: {
    status: 422,
    title: 'This is not an e-mail address',
    hint: 'Use an address such as name@example.com, at most 254 bytes long.',
  },
  FH_NAME_REFUSED: {
    status: 422,
    title: 'This name is not accepted',
    hint: 'Use 1 to 100 characters, none of them invisible.',
  },
  FH_INVITATION_NOT_FOUND: {
    status: 404,
    title: 'This invitation cannot be used',
    hint: 'It was used, withdrawn or replaced, or is older than seven days. Ask whoever invited you for a new one.',
  },
  FH_RESET_NOT_FOUND: {
    status: 404,
    title: 'This link cannot be used',
    hint: 'It was used, or is older than 15 minutes, or something about the account changed since. Ask for a new one.',
  },
  FH_RESET_THROTTLED: {
    status: 429,
    title: 'Too many links were asked for from this network',
    hint: 'Wait and try again. A browser that signed in here before is not slowed down by others.',
    retry: 'later',
  },
  FH_PASSWORD_LIST_UNREADABLE: {
    status: 503,
    title: 'New passwords cannot be checked just now',
    hint: 'The list of breached passwords cannot be read, and none is taken without it. The operator finds out more with ./freehold doctor.',
    retry: 'later',
  },
  FH_USER_EXISTS: {
    status: 409,
    title: 'There is a user with this e-mail address already',
    hint: 'Change the role of that user instead.',
  },
  FH_USER_NOT_FOUND: { status: 404, title: 'There is no such user' },
  FH_SESSION_NOT_FOUND: { status: 404, title: 'There is no such session' },
  FH_TOKEN_NOT_FOUND: { status: 404, title: 'There is no such API token' },
  FH_TOKEN_LIMIT: {
    status: 409,
    title: 'You have twenty API tokens that are good',
    hint: 'Revoke one that you no longer need.',
  },
  FH_LAST_OWNER: {
    status: 409,
    title: 'An account must keep one active owner',
    hint: 'Make somebody else owner first.',
  },
});
