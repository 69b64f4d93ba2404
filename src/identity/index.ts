/**
 * identity: the users of tenants. Invitations, sign-in, sessions, roles, passwords, the tenant's security log.
 * Invariants: users live in their tenant's own database and a session of one tenant is none of another (cookie sealed per tenant, token
 * looked up in the tenant's database); who has a second factor gets no session without it; every request reads session and user anew (what is presumed meanwhile allows nothing); tokens are stored as hashes; an act and its audit event
 * are one transaction; an unknown user cannot be told from a wrong password.
 * Called by: gateway (routes, authenticate), control (lifecycle hooks), staff (passwords, cookies, attempt limits).
 */
export { addressRange } from './address.ts';
export { apiTokenPattern, hashApiToken } from './api-token.ts';
export { type AttemptLimiter, attemptLimits, createAttemptLimiter } from './attempts.ts';
export type { Authenticator } from './authenticate.ts';
export { type BreachedPasswords, createBreachedPasswords } from './breached-passwords.ts';
export type { Caller, CookieKeyOf } from './browser.ts';
export type { AwaitedSignIn } from './challenge.ts';
export {
  challengeCookieName,
  createTokenCookie,
  deviceCookieName,
  hashToken,
  newToken,
  parseCookies,
  sessionCookieName,
  type TokenCookie,
} from './cookie.ts';
export { type Email, emailKeyOf, parseEmail, parsePersonName } from './email.ts';
export { identityErrors } from './errors.ts';
export { createPasswordQueue, type PasswordQueue, type PasswordQueueOptions } from './hash-queue.ts';
export { createIdentity, type Identity, type IdentityDeps } from './identity.ts';
export type { Invitation, Invitee } from './invitations.ts';
export { createDemoUser, createFirstInvitation, stripClone } from './lifecycle.ts';
export type { SessionSummary } from './own-sessions.ts';
export { normalisePassword } from './password-hash.ts';
export {
  createPasswordRules,
  minPasswordLength,
  type PasswordContext,
  type PasswordRule,
  type PasswordRules,
  type PasswordVerdict,
} from './password-rules.ts';
export type { IdentityRequest } from './request-scope.ts';
export { identityRoutes, invitationPath } from './routes.ts';
export { encodeSessionKey, type SessionKey, sessionKeyBytes } from './session-key.ts';
export type { SessionNotice } from './session-notices.ts';
export type { StartedSession } from './session-start.ts';
export type { ApiTokenUse, PresumedSession, Role, Session, TokenScope, User } from './types.ts';
export { roles } from './types.ts';
