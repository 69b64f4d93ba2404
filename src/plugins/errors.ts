import { defineErrors } from '#src/kernel/index.ts';

export const pluginErrors = defineErrors({
  FH_PLUGIN_EDITION: {
    status: 403,
    title: 'Custom plugins belong to the Private Cloud edition',
    hint: 'In the Standard edition tenants share servers, so no custom code runs there. Move it first: ./freehold tenant move TENANT --to private-cloud.',
  },
  FH_PLUGIN_INVALID: {
    status: 400,
    title: 'This plugin cannot be added',
    hint: 'Mend what is named; docs/plugins.md describes freehold.plugin.json and what may be in the folder.',
  },
  FH_PLUGIN_NOT_FOUND: {
    status: 404,
    title: 'The tenant has no such plugin',
    hint: 'See what it has: ./freehold plugin list TENANT.',
  },
  FH_PLUGIN_DISABLED: {
    status: 409,
    title: 'The plugin is disabled',
    hint: 'Enable it: ./freehold plugin enable TENANT NAME.',
  },
  FH_PLUGIN_BUSY: {
    status: 503,
    title: 'The plugin cannot run just now',
    hint: 'Try again in a moment.',
    retry: 'soon',
  },
  FH_PLUGIN_STOPPED: {
    status: 409,
    title: 'The run of the plugin was ended',
    hint: 'See its state: ./freehold plugin list TENANT.',
    retry: 'later',
  },
  FH_PLUGIN_REFUSED: {
    status: 403,
    title: 'The plugin asked for something that it may not do',
    hint: 'Its manifest declares what it may do; docs/plugins.md.',
  },
  FH_PLUGIN_STATE_FULL: {
    status: 413,
    title: 'The plugin may keep no more',
    hint: 'At most 1,000 keys, 64 KiB a value and 4 MiB together.',
  },
});
