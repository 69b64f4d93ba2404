import { defineErrors } from '#src/kernel/index.ts';

export const releaseErrors = defineErrors({
  FH_APP_MANIFEST_INVALID: {
    status: 422,
    title: 'freehold.app.json cannot be used',
    hint: 'Mend what is named, then see that nothing is left with: ./freehold app check FOLDER',
  },
  FH_APP_CONTENT_INVALID: {
    status: 422,
    title: 'The files of this version cannot be used',
    hint: 'Mend what is named, then see that nothing is left with: ./freehold app check FOLDER',
  },
  FH_APP_TOO_LARGE: {
    status: 413,
    title: 'This version is too large',
    hint: 'Let "build" install what the app needs, so that node_modules need not be sent.',
  },
  FH_APP_NAME_TAKEN: {
    status: 409,
    title: 'An app that comes with Freehold has this name',
    hint: 'Give "name" in freehold.app.json another value.',
  },
  FH_APP_VERSION_TAKEN: {
    status: 409,
    title: 'This version is there already, with other content',
    hint: 'A version never changes. Give "version" in freehold.app.json another value, then add it again.',
  },
  FH_APP_NOT_FOUND: {
    status: 404,
    title: 'There is no such app or version',
    hint: 'List the apps with: ./freehold app list',
  },
  FH_RELEASE_OPEN: {
    status: 409,
    title: 'Another release of this app is under way',
    hint: 'See how far it is with: ./freehold release status APP. It ends with: ./freehold release return APP',
  },
  FH_RELEASE_NOT_FOUND: {
    status: 404,
    title: 'There is no release of this app',
    hint: 'Begin one with: ./freehold release start APP VERSION',
  },
  FH_RELEASE_STATE: {
    status: 409,
    title: 'The release is not in a state for this',
    hint: 'See how it is with: ./freehold release status APP',
  },
  FH_APP_VERSION_IN_USE: {
    status: 409,
    title: 'Tenants run this version, or can be restored with it',
    hint: 'See which with: ./freehold app show NAME',
  },
  FH_APP_VERSION_STATE: {
    status: 409,
    title: 'The version is not in a state that allows this',
    hint: 'See its state with: ./freehold app show NAME',
  },
  FH_APP_INSTALLER_MISSING: {
    status: 503,
    title: 'This installation cannot build apps',
    hint: 'See docs/hosting-an-app.md for what a machine needs.',
  },
});
