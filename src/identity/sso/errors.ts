import { defineErrors } from '#src/kernel/index.ts';

export const signOnErrors = defineErrors({
  FH_SIGN_ON_REFUSED: {
    status: 403,
    title: 'Your organisation did not let you in',
    hint: 'Try again. If it stays so, tell an administrator of your account, who finds the reason in the security log.',
  },
  FH_SIGN_ON_NOT_FOUND: {
    status: 404,
    title: 'This sign-in cannot go on',
    hint: 'It was begun in another browser, took longer than ten minutes, or is done already. Begin again on the sign-in page.',
  },
  FH_SIGN_ON_REQUIRED: {
    status: 403,
    title: 'In this account everybody signs in over their organisation',
    hint: 'Go to the sign-in page and continue with your organisation.',
  },
  FH_SIGN_ON_TOO_OFTEN: {
    status: 429,
    title: 'Too many sign-ins are being begun from this network',
    hint: 'Wait a moment.',
    retry: 'soon',
  },
  FH_LOG_OUT_REFUSED: {
    status: 403,
    title: 'This sign-out message was not accepted',
    hint: 'It has signed nobody out. Sign out here yourself; an administrator of your account finds the reason in the security log.',
  },
  FH_LOG_OUT_NOT_FOUND: {
    status: 404,
    title: 'This answer belongs to no sign-out of this browser',
    hint: 'Who signs out here is signed out here at once. Whether your organisation did the same is not known: look there.',
  },
  FH_CONNECTION_NOT_FOUND: { status: 404, title: 'There is no such connection' },
  FH_CONNECTION_REFUSED: { status: 422, title: 'The connection cannot be set up like this' },
  FH_CONNECTION_LIMIT: {
    status: 409,
    title: 'There are twenty connections already',
    hint: 'Remove one that is no longer used.',
  },
  FH_CONNECTION_CHANGED: {
    status: 409,
    title: 'Somebody else has just changed this connection',
    hint: 'Look at it again, then make your change.',
    retry: 'soon',
  },
  FH_CONNECTION_UNTESTED: {
    status: 409,
    title: 'The connection has not passed a test as it is now',
    hint: 'Test it first: sign in at the provider and see what it tells about you.',
  },
  FH_SIGN_ON_ENFORCED: {
    status: 409,
    title: 'Everybody has to sign in over this connection',
    hint: 'Allow passwords again first, or turn another connection on.',
  },
  FH_BREAK_GLASS_REQUIRED: {
    status: 409,
    title: 'One owner has to be able to sign in without a provider',
    hint: 'Mark an active owner who has a second factor. Should the provider be away, that owner still gets in.',
  },
  FH_DOMAIN_REFUSED: { status: 422, title: 'This is no mail domain', hint: 'Use a domain such as example.com.' },
  FH_DOMAIN_EXISTS: { status: 409, title: 'This domain is there already' },
  FH_DOMAIN_NOT_FOUND: { status: 404, title: 'There is no such domain' },
  FH_DOMAIN_UNPROVEN: {
    status: 409,
    title: 'The record was not found in the DNS',
    hint: 'Add the TXT record as it is shown. Some hours may pass until everybody sees a new record; then look again.',
    retry: 'later',
  },
});
