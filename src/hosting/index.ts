/**
 * hosting: runs apps written with the SDK inside the gateway: their routes, validation, roles, events, OpenAPI and page.
 * Invariants: a handler runs only for a signed-in user whose role it names; its context belongs to one tenant and is
 * dead when the handler is over; an event reaches only listeners of its own tenant; background work is known by name and
 * ends at drain. Called by the gateway (plugin) and by main. Files, users and events are ports.
 *
 * An app in process is the operator's own code: the context is its only given door, not a sandbox. What really keeps
 * tenants apart is the database role of each lease.
 */
export { hostingErrors } from './errors.ts';
export { createHosting } from './hosting.ts';
export { digestOfApp, migrationsFolderOf, migrationsFolders } from './migrations.ts';
export { describeApp } from './openapi.ts';
export { parseApp } from './parse-app.ts';
export { divideCookies } from './proxied/cookies.ts';
export { createProxied, proxiedRoute } from './proxied/plugin.ts';
export type { AppProcesses, Proxied, ProxiedDeps, Visit } from './proxied/types.ts';
export { isUpgrade, isWebSocketRequest, setUpgrade } from './proxied/upgrade.ts';
export type { HostedRequest, Hosting, HostingDeps } from './types.ts';
