/**
 * releases: versions of apps that run as processes: what their manifest says, how they come in, what each tenant runs.
 * Invariants: a version's content never changes; a manifest is checked once, at the door, and what is wrong is said with its line.
 * Called by control (routes, lifecycle) and the command line.
 */

export { ensureSecrets } from './app-secrets.ts';
export * from './content/index.ts';
export { releaseErrors } from './errors.ts';
export * from './manifest/index.ts';
export type { AppInstaller, InstallOrder } from './ports.ts';
export { type AppRegistry, type AppRegistryDeps, createAppRegistry, type ListedVersion } from './registry.ts';
export * from './rollout/index.ts';
export type { TenantApp } from './sql.ts';
export type * from './types.ts';
export { appVersionStates } from './types.ts';
