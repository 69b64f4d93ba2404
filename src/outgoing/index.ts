/**
 * outgoing: the one door for requests to addresses that a tenant or its identity provider names (SAML metadata, OpenID Connect).
 * Invariants: https only; every address of a name is checked and the connection is made to a checked one; no redirect, no proxy, no credentials; size and time are limited.
 * Called by: features, which get it as a port (`Outgoing`) wired in main. Decision 0032.
 */
export { parseAllowed } from './allowed.ts';
export { outgoingErrors } from './errors.ts';
export { createOutgoing, type OutgoingOptions } from './outgoing.ts';
export type { Outgoing, OutgoingInit, ResolveName } from './types.ts';
