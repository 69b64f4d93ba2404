import { defineErrors } from '#src/kernel/index.ts';

const comeBack = 'This page can simply be reloaded in a while.';

export const gatewayErrors = defineErrors({
  FH_HOST_INVALID: { status: 400, title: 'The address of this request is not well formed' },
  FH_HOST_UNKNOWN: {
    status: 404,
    title: 'There is nothing at this address',
    hint: 'Check the name in front of the first dot. Whoever invited you knows the right address.',
  },
  FH_HOST_MISDIRECTED: {
    status: 421,
    title: 'This connection was made for another address',
    hint: 'Open a new connection to the address you want.',
  },
  FH_HTTPS_REQUIRED: {
    status: 403,
    title: 'This address is spoken to over HTTPS only',
    hint: 'Write https:// in front of it. What was sent just now was not encrypted: make a new token if there was one in it.',
  },
  FH_TENANT_SUSPENDED: {
    status: 503,
    title: 'This account is suspended',
    hint: 'Nothing was deleted. Whoever runs the service can open the account again.',
    retry: 'later',
  },
  FH_TENANT_BEING_CREATED: {
    status: 503,
    title: 'This account is being set up',
    hint: 'That takes a few seconds.',
    retry: 'later',
  },
  FH_TENANT_BEING_UPDATED: { status: 503, title: 'This account is being updated', hint: comeBack, retry: 'later' },
  FH_TENANT_BEING_MOVED: { status: 503, title: 'This account is being moved', hint: comeBack, retry: 'later' },
  FH_TENANT_BEING_RESTORED: { status: 503, title: 'This account is being restored', hint: comeBack, retry: 'later' },
  FH_TENANT_DELETED: {
    status: 410,
    title: 'This account was deleted',
    hint: 'Its data cannot be brought back through this address.',
  },
  FH_CROSS_SITE: {
    status: 403,
    title: 'The request came from another site',
    hint: 'Start from a page of this address.',
  },
  FH_CREDENTIALS_AMBIGUOUS: {
    status: 400,
    title: 'The request says in two ways who makes it',
    hint: 'Send either one Authorization header with an API token, or the cookies of a browser.',
  },
  FH_TOKEN_INVALID: {
    status: 401,
    title: 'This API token is not good',
    hint: 'It was mistyped, has expired, was revoked, or belongs to another account. Make a new one on your account page.',
  },
  FH_TOKEN_SCOPE: {
    status: 403,
    title: 'This API token only reads',
    hint: 'Make one that may write on your account page.',
  },
  FH_TOKEN_NOT_HERE: {
    status: 403,
    title: 'API tokens are not accepted here',
    hint: "They open the app's API, below /api/. Sign in with a browser for everything else.",
  },
  FH_SCIM_TOKEN_INVALID: {
    status: 401,
    title: 'This SCIM token is not good',
    hint: 'It was mistyped, has expired, was revoked, or belongs to another account. An administrator makes a new one on the account page, under SCIM.',
  },
  FH_TOKENS_LIMITED: {
    status: 429,
    title: 'Too many API tokens from this network were not good',
    hint: 'Wait a minute. Tokens that were used here a moment ago go on.',
    retry: 'later',
  },
  FH_RATE_LIMITED: { status: 429, title: 'Too many requests', hint: 'Wait a moment and try again.', retry: 'later' },
  FH_TENANT_OVERLOADED: {
    status: 503,
    title: 'This account has too many requests running at once',
    hint: 'Try again in a moment.',
    retry: 'soon',
  },
  FH_TLS_UNREADY: {
    status: 500,
    title: 'There is no certificate for the base domain',
    hint: 'Look at `freehold status`: control issues it, unless FREEHOLD_TLS_CERT is set.',
  },
});
