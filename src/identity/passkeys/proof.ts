import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, randomBytes, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type Caller, describeUserAgent } from '../sessions/browser.ts';
import { hashToken } from '../sessions/cookie.ts';
import type { Session } from '../types.ts';
import type { UserMail } from '../users/user-mail.ts';
import { passkeyLifetimeSeconds, readChallengeHash, requestOptions, verifyAssertion } from './ceremony.ts';
import { findPasskey, insertChallenge, type PasskeyRow, selectPasskeys, spendChallenge } from './passkey-sql.ts';
import type { PasskeyAssertion, PasskeyPurpose, PasskeyRequestOptions, ProvenPasskey, RelyingParty } from './types.ts';

/** Who asked, and what for. */
interface Asked {
  readonly purpose: PasskeyPurpose;
  /** The SHA-256 of what only the asking browser has. */
  readonly boundTo: Buffer;
}

/** A passkey shown: asked for, then proven. */
export interface PasskeyProofs {
  /** In the caller's transaction. `user` undefined: the passkey will say; otherwise one of theirs that works on this host, undefined where there is none. */
  askPasskey(
    db: Queryable,
    asked: Asked,
    party: RelyingParty,
    user: { readonly userId: string; readonly epoch: number } | undefined,
  ): Promise<PasskeyRequestOptions | undefined>;
  /**
   * Uses up the challenge, in a transaction of its own that stays whatever follows, and looks whether a passkey of this tenant signed it. Undefined: no, and nobody
   * is told why. A counter that did not grow is recorded and told to the user.
   */
  provePasskey(
    tenantId: TenantId,
    asked: Asked,
    assertion: PasskeyAssertion,
    caller: Pick<Caller, 'address' | 'userAgent'>,
  ): Promise<ProvenPasskey | undefined>;
}

/** What a challenge of somebody who is signed in is bound to: their session, whatever its key is by then. */
export function boundToSession({ sessionId }: Session): Buffer {
  return hashToken(Buffer.from(`passkey of session ${sessionId}`));
}

export async function newChallenge(
  db: Queryable,
  { purpose, boundTo }: Asked,
  { id, origin }: RelyingParty,
  user: { readonly userId: string; readonly epoch: number } | undefined,
): Promise<Buffer> {
  const challenge = randomBytes(32);
  await insertChallenge(db, {
    challengeHash: hashToken(challenge),
    boundTo,
    purpose,
    user,
    rpId: id,
    origin,
    lifetimeSeconds: passkeyLifetimeSeconds,
  });
  return challenge;
}

export function createPasskeyProofs(deps: {
  readonly databases: TenantDatabases;
  readonly userMail: UserMail;
  readonly clock: Clock;
}): PasskeyProofs {
  const { databases, userMail, clock } = deps;

  /** Two authenticators with one key, or one that was set back (Web Authentication, 6.1.1). */
  async function reportCopy(
    tenantId: TenantId,
    passkey: PasskeyRow,
    shown: number,
    { address, userAgent }: Pick<Caller, 'address' | 'userAgent'>,
  ): Promise<void> {
    await databases.platform.transact(tenantId, (db) =>
      recordTenantAudit(db, {
        name: 'user.passkey_counter_refused',
        actor: 'anonymous',
        subject: passkey.userId,
        address,
        details: { passkeyName: passkey.name, stored: passkey.counter, shown },
      }),
    );
    userMail.send(tenantId, {
      kind: 'passkey_copied',
      to: passkey.userEmail,
      name: passkey.userName,
      at: new Date(clock.now()).toISOString(),
      address,
      browser: describeUserAgent(userAgent),
    });
  }

  return {
    async askPasskey(db, asked, party, user) {
      const allowed = user ? await selectPasskeys(db, user.userId, party.id) : [];
      if (user && allowed.length === 0) return undefined;
      return requestOptions({ party, challenge: await newChallenge(db, asked, party, user), allowed });
    },

    async provePasskey(tenantId, asked, assertion, caller) {
      const challengeHash = readChallengeHash(assertion.response.clientDataJSON);
      if (!challengeHash) return undefined;
      const found = await databases.platform.transact(tenantId, async (db) => {
        const challenge = await spendChallenge(db, { challengeHash, ...asked });
        const passkey = challenge && (await findPasskey(db, Buffer.from(assertion.id, 'base64url')));
        await failpoint('identity.passkey.spend.before_commit');
        return passkey && { challenge, passkey };
      });
      if (!found) return undefined;
      const { challenge, passkey } = found;
      const { userHandle } = assertion.response;
      if (passkey.rpId !== challenge.rpId) return undefined;
      if (challenge.userId && challenge.userId !== passkey.userId) return undefined;
      // Whoever was not named says who they are; whoever was may stay silent, and says nobody else.
      if (userHandle !== passkey.userHandle.toString('base64url') && (userHandle || !challenge.userId))
        return undefined;
      const signed = await verifyAssertion(assertion, { challengeHash, ...challenge }, passkey);
      if (!signed) return undefined;
      const isCopy = (signed.counter > 0 || passkey.counter > 0) && signed.counter <= passkey.counter;
      if (isCopy) {
        await reportCopy(tenantId, passkey, signed.counter, caller);
        return undefined;
      }
      return { passkeyId: passkey.passkeyId, userId: passkey.userId, ...signed };
    },
  };
}
