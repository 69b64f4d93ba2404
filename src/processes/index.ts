/**
 * processes: apps that run as processes, one per tenant: their sandbox, who is awake, their logs (docs/decisions/0038).
 * Invariants: one tenant's process reaches its own folder, database and port and nothing else; it runs only while its tenant is open;
 * none sleeps while a request of it is under way. The supervisor starts processes, the keeper decides, control knows what to run.
 */
export { type AppLog, createAppLog, removeAppLog } from './app-log.ts';
export { openBackChannel } from './back-channel.ts';
export { type ControlGroups, findControlGroups, type ProcessLimits, removeLeftGroups } from './control-groups.ts';
export { processErrors } from './errors.ts';
export { type AppProcessesClient, type AppVisit, createAppProcesses } from './gateway-link.ts';
export { createKeeper, type Keeper } from './keeper.ts';
export { startKeeperLink } from './keeper-link.ts';
export { createLauncher, type Launcher, type LaunchRequest } from './launcher.ts';
export { cursorPattern, longestPage, readLogPage } from './log-page.ts';
export { builderPlace, firstAppUid, firstPluginUid, inside, pluginsApp, systemAuthorities } from './sandbox.ts';
export type { LauncherPort } from './sandboxes.ts';
export { connectToSpecs, createSpecsServer, type SpecsServer } from './specs-link.ts';
export { runTask } from './tasks.ts';
export type * from './types.ts';
