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
