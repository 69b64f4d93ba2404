/**
 * identity: the users of tenants. Invitations, sign-in, sessions, roles, passwords, the tenant's security log.
 * Invariants: users live in their tenant's own database and a session of one tenant is none of another (cookie sealed per tenant, token
 * looked up in the tenant's database); who has a second factor gets no session without it; every request reads session and user anew (what is presumed meanwhile allows nothing); tokens are stored as hashes; an act and its audit event
 * are one transaction; an unknown user cannot be told from a wrong password.
 * Called by: gateway (routes, authenticate), control (lifecycle hooks), staff (passwords, cookies, attempt limits).
 */

export { identityErrors } from './errors.ts';
export { createIdentity, type Identity, type IdentityDeps } from './identity.ts';
export { createAccessReset, resetPath } from './passwords/access-reset.ts';
export { type BreachedPasswords, createBreachedPasswords } from './passwords/breached-passwords.ts';
export { createPasswordQueue, type PasswordQueue, type PasswordQueueOptions } from './passwords/hash-queue.ts';
export { normalisePassword } from './passwords/password-hash.ts';
export {
  createPasswordRules,
  minPasswordLength,
  type PasswordContext,
  type PasswordRule,
  type PasswordRules,
  type PasswordVerdict,
} from './passwords/password-rules.ts';
export { clientSecretName, createProvider, issuerPath, type Provider, providerRoutes } from './provider/index.ts';
export { createPruning, type Pruning } from './pruning.ts';
export type { IdentityRequest } from './request-scope.ts';
export { identityRoutes, invitationPath } from './routes.ts';
export { createSamlEngine } from './saml/index.ts';
export { shownProperties } from './schemas.ts';
export { hashScimToken, type ScimTokenUse, scimPath, scimRoutes } from './scim/index.ts';
export type { AwaitedSignIn } from './second-factors/challenge.ts';
export {
  hashRecoveryCode,
  newRecoveryCode,
  parseRecoveryCode,
  recoveryCodeCount,
} from './second-factors/recovery-codes.ts';
export {
  encodeBase32,
  findTotpStep,
  parseTotpCode,
  totpCode,
  totpSecretBytes,
  totpUri,
} from './second-factors/totp.ts';
export type { Authenticator } from './sessions/authenticate.ts';
export type { Caller, CookieKeyOf } from './sessions/browser.ts';
export {
  challengeCookieName,
  createTokenCookie,
  deviceCookieName,
  hashToken,
  newToken,
  parseCookies,
  sessionCookieName,
  type TokenCookie,
} from './sessions/cookie.ts';
export type { Shown } from './sessions/own-confirmation.ts';
export type { SessionSummary } from './sessions/own-sessions.ts';
export { encodeSessionKey, type SessionKey, sessionKeyBytes } from './sessions/session-key.ts';
export type { SessionNotice } from './sessions/session-notices.ts';
export type { StartedSession } from './sessions/session-start.ts';
export { addressRange } from './sign-in/address.ts';
export { type Attempt, type AttemptLimiter, attemptLimits, createAttemptLimiter } from './sign-in/attempts.ts';
export { type ResolveTxt, type SignOnPorts, signOnErrors } from './sso/index.ts';
export { apiTokenPattern, hashApiToken } from './tokens/api-token.ts';
export { issuePluginToken, revokePluginToken } from './tokens/plugin-tokens.ts';
export type { ApiTokenUse, PresumedSession, Role, Session, TokenScope, User } from './types.ts';
export { roles } from './types.ts';
export { type Email, emailKeyOf, parseEmail, parsePersonName } from './users/email.ts';
export type { Invitation, Invitee } from './users/invitations.ts';
export { createDemoUser, createFirstInvitation, stripClone } from './users/lifecycle.ts';
