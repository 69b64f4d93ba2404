/**
 * provider: a tenant as the OpenID provider of its own hosted app. Authorization code flow with PKCE (S256), one client per tenant.
 * Invariants: a code is used once, in one statement, and is bound to client, redirect, PKCE and session; who presents it again ends the tokens that it gave; nobody
 * gets a token or an answer whose session is over; answers go to addresses of the client alone; key, codes and tokens lie in the tenant's own database.
 * Called by: the gateway, for browsers at the tenant's own address and for the app behind its sandbox's door (decision 0041).
 */
export { createProvider, type Provider } from './provider.ts';
export { issuerPath, providerRoutes } from './provider-routes.ts';
export { clientSecretName } from './provider-sql.ts';
export { type ProviderClient, ProviderRefusal, type ProviderTenant } from './types.ts';
