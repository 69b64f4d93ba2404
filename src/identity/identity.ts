import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, type Log, systemClock, type TenantId } from '#src/kernel/index.ts';
import type { QueueMail } from '#src/mail/types.ts';
import { createPasskeySignIn, type PasskeySignIn } from './passkeys/passkey-sign-in.ts';
import { createPasskeys, type Passkeys } from './passkeys/passkeys.ts';
import { createPasskeyProofs } from './passkeys/proof.ts';
import { createPasswordQueue, type PasswordQueueOptions } from './passwords/hash-queue.ts';
import { createPasswordRules, type PasswordRules } from './passwords/password-rules.ts';
import { createPasswordResets, type PasswordResets } from './passwords/reset.ts';
import { createScim, type Scim } from './scim/index.ts';
import { type AwaitedSignIn, createSecondStep, type SecondStep } from './second-factors/challenge.ts';
import { createFactorSecrets, createRedeemFactor, type FactorsKeyOf } from './second-factors/redeem.ts';
import { createSecondFactorPolicy, type SecondFactorPolicy } from './second-factors/second-factor-policy.ts';
import { createSecondFactors, type SecondFactors } from './second-factors/second-factors.ts';
import { createSecurityLog, type SecurityLog } from './security-log/security-log.ts';
import { type Authenticator, createAuthenticator } from './sessions/authenticate.ts';
import { type Caller, type CookieKeyOf, createBrowserCookies } from './sessions/browser.ts';
import { createOwnConfirmation, type OwnConfirmation } from './sessions/own-confirmation.ts';
import { createOwnSessions, type OwnSessions } from './sessions/own-sessions.ts';
import { createSessionNotices, type SessionNotices } from './sessions/session-notices.ts';
import type { StartedSession } from './sessions/session-start.ts';
import { createAttemptLimiter } from './sign-in/attempts.ts';
import { type Credentials, signIn } from './sign-in/sign-in.ts';
import { createSignOn, type SignOn, type SignOnPorts } from './sso/index.ts';
import { type ApiTokenCheck, createApiTokenCheck } from './tokens/api-token-check.ts';
import { type ApiTokens, createApiTokens } from './tokens/api-tokens.ts';
import { createInvitations, type Invitations } from './users/invitations.ts';
import { createUserMail } from './users/user-mail.ts';
import { createUsers, type Users } from './users/users.ts';

export interface IdentityDeps {
  readonly databases: TenantDatabases;
  /** The tenant's session-cookie key, 32 bytes: `TenantAccess.cookieKey`. May throw when the tenant is closed. */
  readonly cookieKeyOf: CookieKeyOf;
  /** The same where it is known without waiting. */
  readonly knownCookieKeyOf?: (tenantId: TenantId) => Uint8Array | undefined;
  /** Seals the secrets of second factors: `TenantAccess.factorsKey`. */
  readonly factorsKeyOf: FactorsKeyOf;
  readonly log: Log;
  readonly clock?: Clock;
  readonly passwords?: PasswordQueueOptions;
  /** Of new passwords. Default: without a list of breached ones. */
  readonly rules?: PasswordRules;
  /** Undefined: nobody is told anything, as where demo data is written. */
  readonly queueMail?: QueueMail;
  /** Undefined: nobody signs in over a provider. */
  readonly signOn?: SignOnPorts | undefined;
}

/** Everything about the users of tenants. Each call names the tenant; nothing is kept between calls but the queue of hashes. */
export interface Identity
  extends Authenticator,
    Users,
    Invitations,
    OwnSessions,
    OwnConfirmation,
    PasswordResets,
    SecondFactors,
    SecondFactorPolicy,
    SecondStep,
    Passkeys,
    PasskeySignIn,
    ApiTokens,
    ApiTokenCheck,
    Scim,
    SecurityLog,
    SignOn,
    SessionNotices {
  signIn(tenantId: TenantId, credentials: Credentials, caller: Caller): Promise<StartedSession | AwaitedSignIn>;
  /** What `PasswordRules.check` says. */
  readonly checkPassword: PasswordRules['check'];
}

export function createIdentity({
  databases,
  cookieKeyOf,
  knownCookieKeyOf,
  factorsKeyOf,
  log,
  clock = systemClock,
  passwords,
  rules = createPasswordRules(),
  queueMail = async () => {},
  signOn: ports,
}: IdentityDeps): Identity {
  const cookies = createBrowserCookies(cookieKeyOf, knownCookieKeyOf);
  const queue = createPasswordQueue(passwords);
  const limiter = createAttemptLimiter('freehold.sign_in_failures');
  const userMail = createUserMail(queueMail, { clock, log });
  const shared = { databases, cookies, limiter, queue, rules, userMail, clock, log };
  const authenticator = createAuthenticator(shared);
  const resets = createPasswordResets(shared);
  const secrets = createFactorSecrets(factorsKeyOf, log);
  const redeem = createRedeemFactor(secrets);
  const proofs = createPasskeyProofs(shared);
  const confirmation = createOwnConfirmation({ ...shared, redeem, proofs });
  const tokenCheck = createApiTokenCheck(shared);
  const scim = createScim({ ...shared, confirmation });
  const ownSessions = createOwnSessions({ ...shared, confirmSelf: confirmation.confirmSelf });
  const signOn = createSignOn({
    ...shared,
    cookieKeyOf,
    factorsKeyOf,
    confirmSelf: confirmation.confirmSelf,
    signOut: ownSessions.signOut,
    ports,
  });
  return {
    ...authenticator,
    ...resets,
    ...tokenCheck,
    ...createApiTokens({ ...shared, confirmation }),
    ...scim,
    ...createSecurityLog(databases),
    async settle() {
      await resets.settleResets();
      await Promise.all([
        authenticator.settle(),
        tokenCheck.settleApiTokens(),
        scim.settleScimTokens(),
        userMail.settle(),
        signOn.settleMetadata(),
      ]);
    },
    ...createUsers(databases, limiter),
    ...createInvitations(databases, cookies, queue, rules, userMail),
    ...ownSessions,
    ...confirmation,
    ...createSecondFactors({ ...shared, secrets, confirmSelf: confirmation.confirmSelf }),
    ...createSecondFactorPolicy(databases, confirmation.confirmSelf),
    ...createSecondStep({ ...shared, redeem, proofs }),
    ...createPasskeys({ ...shared, proofs, confirmSelf: confirmation.confirmSelf }),
    ...createPasskeySignIn({ ...shared, proofs }),
    ...signOn,
    ...createSessionNotices(shared),
    checkPassword: rules.check,
    signIn: (tenantId, credentials, caller) => signIn(shared, tenantId, credentials, caller),
  };
}
