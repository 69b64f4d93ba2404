import { defineErrors } from '#src/kernel/index.ts';

export const mailErrors = defineErrors({
  FH_MAIL_REFUSED: { status: 422, title: 'This message is not one that Freehold sends' },
  FH_MAIL_LIMITED: {
    status: 429,
    title: 'This tenant has sent too many messages within an hour',
    hint: 'Wait an hour.',
    retry: 'later',
  },
  FH_MAIL_NOT_FOUND: {
    status: 404,
    title: 'There is no such message',
    hint: 'Messages are removed after 30 days, and with the tenant that they belong to.',
  },
  FH_MAIL_NOT_SENDABLE: { status: 409, title: 'This message cannot be sent' },
  FH_MAIL_SETTING_INVALID: { status: 500, title: 'The setting of the mail server is not usable' },
});
