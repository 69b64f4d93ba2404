import { defineErrors } from '#src/kernel/index.ts';

export const processErrors = defineErrors({
  FH_APP_FAILED: {
    status: 503,
    title: 'The app does not run',
    hint: 'The last lines of its log say why: ./freehold app logs TENANT.',
  },
  FH_APP_BUSY: {
    status: 503,
    title: 'There is no room for the app just now',
    hint: 'Try again in a moment. Operators: FREEHOLD_APPS_MEMORY_MB and FREEHOLD_APPS_CONNECTIONS bound the apps that are awake.',
    retry: 'soon',
  },
  FH_APP_SANDBOX_MISSING: {
    status: 503,
    title: 'Apps cannot be fenced in on this machine, so none is started',
    hint: 'Install bubblewrap (Debian and Ubuntu: apt-get install bubblewrap) and start Freehold again.',
  },
  FH_APP_FOLDER_MISSING: { status: 500, title: "The writable folder of the tenant's app is not there", retry: 'later' },
  FH_APP_LAUNCH_REFUSED: { status: 500, title: 'The supervisor refused to start an app' },
});
