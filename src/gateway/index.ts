/**
 * gateway: TLS, host → tenant → session → app; and its link to control.
 * Invariants: no default tenant; a request reaches a route only with exactly one tenant, whose host is its Host, its SNI and the
 * directory's answer; the session is asked for on every request; nothing of a tenant is remembered after control said it changed.
 * Called by: main (a gateway worker: `connectToControl`, `createGateway`; control: `createControlLink`).
 */
export { type BackupRoutesOptions, backupRoutes } from './backup-routes.ts';
export { connectToBackups, createBackupsServer } from './backups-link.ts';
export { type ControlClient, type ControlClientOptions, connectToControl } from './control-client.ts';
export { type ControlLink, type ControlLinkOptions, type ControlPort, createControlLink } from './control-link.ts';
export { refuseCrossSite } from './cross-site.ts';
export { createDirectoryClient, type DirectoryClient } from './directory-client.ts';
export { gatewayErrors } from './errors.ts';
export { createGateway, type Gateway, type GatewayOptions, type StopOptions } from './gateway.ts';
export { encodeTenantAccess, type LinkProtocol, type LinkServerHandlers, type WireTenantAccess } from './link.ts';
export { createLiveEvents, type LiveEvents } from './live-events.ts';
export * from './types.ts';
