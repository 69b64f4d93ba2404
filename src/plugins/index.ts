/**
 * plugins: custom code of tenants of the Private Cloud edition (docs/decisions/0045). Control keeps what there is and decides when it runs; the keeper of apps runs
 * it, once per order, in a sandbox like an app's, and answers what it asks for.
 * Invariants: no plugin of a tenant of the Standard edition is added or started; what a plugin is answered is what its manifest declares and its own
 * tenant's alone; code in a sandbox holds no secret; what fails too often in a row runs no more. Called by main.
 */
export { createApi, type GatewayAddress } from './api.ts';
export { type ApiRequest, createCalls, headersOf, longestAnswer, type PluginPorts } from './calls.ts';
export { pluginErrors } from './errors.ts';
export { commandOf, createPluginHost, type PluginHostDeps, type PluginLog } from './host.ts';
export { connectToPlugins, createPluginLink, type PluginKeeper } from './link.ts';
export { maxPluginBytes, parsePluginPackage, readPluginSource } from './package.ts';
export { createPluginRegistry, type PluginRegistry, type PluginStore, requireEdition } from './registry.ts';
export { createPluginRuns, type PluginRuns, type PluginRunsDeps } from './runs.ts';
export { createPluginSchedule } from './schedule.ts';
export { endInterrupted } from './sql.ts';
export type * from './types.ts';
