import { defineErrors } from '#src/kernel/index.ts';

export const proxiedErrors = defineErrors({
  FH_APP_CHANGING: {
    status: 503,
    title: 'This app is just getting another version',
    hint: 'Try again in a moment.',
    retry: 'soon',
  },
  FH_APP_UNREACHABLE: {
    status: 502,
    title: 'The app broke off',
    hint: 'Try again. If it happens again, whoever runs the service finds the reason in the log of the app.',
  },
  FH_APP_SILENT: {
    status: 504,
    title: 'The app did not answer in time',
    hint: 'Try again in a moment. If it happens again, whoever runs the service finds the reason in the log of the app.',
    retry: 'later',
  },
});
