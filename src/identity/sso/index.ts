/**
 * sso: single sign-on of a tenant's people over OpenID Connect and SAML (docs/decisions/0030).
 * Invariants: somebody is who the provider says by (connection, subject), never by address alone; an address counts only in a domain that the tenant has proven and if
 * the provider vouches for it; a request is good once, in the browser that began it; no provider makes an owner. Called by: identity.ts, routes.ts.
 */
export { signOnErrors } from './errors.ts';
export { createSignOn, type SignOn, type SignOnPorts } from './sign-on.ts';
export { addSignOnAdminRoutes } from './sign-on-admin-routes.ts';
export { keepBreakGlass, maySignInHere } from './sign-on-policy.ts';
export { addSignOnRoutes } from './sign-on-routes.ts';
export type { ResolveTxt } from './types.ts';
