import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, newId, randomBytes, type TenantId } from '#src/kernel/index.ts';
import { identityErrors } from '../errors.ts';
import { type Enrolment, enrolled, forgetFactorsIfNone } from '../second-factors/enrolment.ts';
import { hasSecondFactor, lockUser } from '../second-factors/second-factor-sql.ts';
import { type Actor, requireRole } from '../sessions/access.ts';
import { type BrowserCookies, type Caller, describeUserAgent } from '../sessions/browser.ts';
import type { OwnConfirmation, Shown } from '../sessions/own-confirmation.ts';
import { type AttemptLimiter, attemptLimits } from '../sign-in/attempts.ts';
import { keepBreakGlass } from '../sso/sign-on-policy.ts';
import { roles } from '../types.ts';
import { parsePersonName } from '../users/email.ts';
import type { UserMail } from '../users/user-mail.ts';
import { creationOptions, readChallengeHash, verifyAttestation } from './ceremony.ts';
import { deletePasskey, ensureUserHandle, insertPasskey, selectPasskeys, spendChallenge } from './passkey-sql.ts';
import { boundToSession, newChallenge, type PasskeyProofs } from './proof.ts';
import type { PasskeyAttestation, PasskeyCreationOptions, PasskeyRequestOptions, RelyingParty } from './types.ts';

export const maxPasskeysPerUser = 10;

/** What users do about their passkeys. Each is a second factor, and two factors by itself. */
export interface Passkeys {
  /**
   * Begins to make one: password and second factor again, then what the browser is to be asked. Throws what `confirmSelf` does, FH_PASSKEY_LIMIT.
   */
  beginPasskey(tenantId: TenantId, actor: Actor, party: RelyingParty, shown: Shown): Promise<PasskeyCreationOptions>;
  /**
   * The one that the browser made: it counts from now on. With the first factor of whatever kind come recovery codes, shown this once, and the end of
   * the user's other sessions. Throws FH_PASSKEY_REFUSED, FH_PASSKEY_LIMIT, FH_NAME_REFUSED, FH_CODE_THROTTLED.
   */
  addPasskey(
    tenantId: TenantId,
    actor: Actor,
    made: { readonly name: string; readonly attestation: PasskeyAttestation },
    caller: Caller,
  ): Promise<Enrolment>;
  /** Throws what `confirmSelf` does, FH_PASSKEY_NOT_FOUND. */
  removePasskey(tenantId: TenantId, actor: Actor, passkeyId: string, shown: Shown, caller: Caller): Promise<void>;
  /** For what asks for a second factor in a session: `Shown.passkey` is the answer. Throws FH_PASSKEY_NOT_FOUND. */
  askOwnPasskey(tenantId: TenantId, actor: Actor, party: RelyingParty): Promise<PasskeyRequestOptions>;
}

export function createPasskeys(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly limiter: AttemptLimiter;
  readonly proofs: PasskeyProofs;
  readonly confirmSelf: OwnConfirmation['confirmSelf'];
  readonly userMail: UserMail;
  readonly clock: Clock;
}): Passkeys {
  const { databases, cookies, limiter, proofs, confirmSelf, userMail, clock } = deps;
  const policy = { roles, refused: 'user.second_factor_refused' } as const;

  function tell(
    tenantId: TenantId,
    kind: 'passkey_added' | 'passkey_removed',
    { session }: Actor,
    { address, userAgent }: Caller,
  ): void {
    const { email, name } = session.user;
    const at = new Date(clock.now()).toISOString();
    userMail.send(tenantId, { kind, to: email, name, at, address, browser: describeUserAgent(userAgent) });
  }

  return {
    beginPasskey: (tenantId, actor, party, shown) =>
      confirmSelf(tenantId, actor, shown, policy, async (db, user) => {
        const all = await selectPasskeys(db, user.userId);
        if (all.length >= maxPasskeysPerUser) throw identityErrors.FH_PASSKEY_LIMIT();
        const handle = await ensureUserHandle(db, user.userId, randomBytes(32));
        const asked = { purpose: 'register', boundTo: boundToSession(actor.session) } as const;
        const challenge = await newChallenge(db, asked, party, user);
        const known = all.filter(({ rpId }) => rpId === party.id);
        return creationOptions({ party, challenge, user: { ...user, handle }, known });
      }),

    async addPasskey(tenantId, actor, { name, attestation }, caller) {
      const { userId } = actor.session.user;
      const parsedName = parsePersonName(name);
      const attempts = [{ limit: attemptLimits.firstCode, subject: userId }];
      const boundTo = boundToSession(actor.session);
      const challengeHash = readChallengeHash(attestation.response.clientDataJSON);
      // Of its own, so that the challenge is used up and the attempt counted whatever follows.
      const challenge = await databases.platform.transact(tenantId, async (db) => {
        await limiter.begin(db, attempts).catch((error) => {
          throw error.code === 'FH_SIGN_IN_THROTTLED'
            ? identityErrors.FH_CODE_THROTTLED({ retryAfterSeconds: error.retryAfterSeconds })
            : error;
        });
        return challengeHash && spendChallenge(db, { challengeHash, boundTo, purpose: 'register' });
      });
      const credential =
        challenge && (await verifyAttestation(attestation, { challengeHash: challengeHash!, ...challenge }));
      if (!credential || challenge.userId !== userId) throw identityErrors.FH_PASSKEY_REFUSED();
      const done = await databases.platform.transact(tenantId, async (db) => {
        await lockUser(db, userId);
        const user = await requireRole(db, actor, roles);
        // Another password, or signed out everywhere, since it was asked for: whoever asked may be somebody else.
        if (user.epoch !== challenge.userEpoch) throw identityErrors.FH_SESSION_REQUIRED();
        if ((await selectPasskeys(db, userId)).length >= maxPasskeysPerUser) throw identityErrors.FH_PASSKEY_LIMIT();
        const isFirst = !(await hasSecondFactor(db, userId));
        const passkey = { ...credential, passkeyId: newId('pky'), userId, rpId: challenge.rpId, name: parsedName };
        if (!(await insertPasskey(db, passkey))) throw identityErrors.FH_PASSKEY_REFUSED();
        await limiter.succeed(db, attempts);
        await recordTenantAudit(db, {
          name: 'user.passkey_added',
          actor: `user:${userId}`,
          subject: userId,
          address: actor.address,
          details: { passkeyName: parsedName, backedUp: credential.isBackedUp },
        });
        const enrolment = await enrolled(db, cookies, tenantId, { user, isFirst, caller });
        await failpoint('identity.passkey.add.before_commit');
        return enrolment;
      });
      tell(tenantId, 'passkey_added', actor, caller);
      return done;
    },

    async removePasskey(tenantId, actor, passkeyId, shown, caller) {
      await confirmSelf(tenantId, actor, shown, policy, async (db, { userId }) => {
        await lockUser(db, userId);
        const name = await deletePasskey(db, userId, passkeyId);
        if (name === undefined) throw identityErrors.FH_PASSKEY_NOT_FOUND();
        await forgetFactorsIfNone(db, userId);
        await keepBreakGlass(db);
        await recordTenantAudit(db, {
          name: 'user.passkey_removed',
          actor: `user:${userId}`,
          subject: userId,
          address: actor.address,
          details: { passkeyName: name },
        });
        await failpoint('identity.passkey.remove.before_commit');
      });
      tell(tenantId, 'passkey_removed', actor, caller);
    },

    askOwnPasskey: (tenantId, actor, party) =>
      databases.platform.transact(tenantId, async (db) => {
        const user = await requireRole(db, actor, roles);
        const asked = { purpose: 'confirm', boundTo: boundToSession(actor.session) } as const;
        const options = await proofs.askPasskey(db, asked, party, user);
        if (!options) throw identityErrors.FH_PASSKEY_NOT_FOUND();
        return options;
      }),
  };
}
