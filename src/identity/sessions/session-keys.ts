import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, type Log, type TenantId, type UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { findUserById, type KeyState } from '../sql.ts';
import type { UserMail } from '../users/user-mail.ts';
import { type BrowserCookies, sessionIdleSeconds } from './browser.ts';
import { hashOf, rotation, type SessionKey } from './session-key.ts';
import { endReused, isOwedSuccessor, isReused, noteKeyUse, rotateKey, type Succession } from './session-key-sql.ts';

const maxNoted = 10_000;

export interface CheckedKey {
  readonly tenantId: TenantId;
  readonly cookieHeader: string;
  readonly tokenHash: Buffer;
}

/**
 * The keys of sessions while they are in use: replaced when due, sent again to whoever lost a race, and the end of the session when one comes back
 * that was replaced long ago. Invariants: the request itself never depends on it; nothing here signs anybody in.
 */
export interface SessionKeys {
  /** What the check of a request said about its key. Returns at once. */
  note(key: CheckedKey, sessionId: string, state: KeyState | null): void;
  /** The check did not accept it. */
  forget(key: CheckedKey): void;
  /** `Set-Cookie` for the answer to a request with this cookie. Undefined: nothing to send. Never rejects. */
  renew(tenantId: TenantId, cookieHeader: string | undefined): Promise<string | undefined> | undefined;
  /** For a key that the check did not accept: ends the session if it goes on with a later one. Never rejects. */
  refuse(tenantId: TenantId, cookieHeader: string, address: string | undefined): Promise<void>;
  settle(): Promise<void>;
}

export function createSessionKeys(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly userMail: UserMail;
  readonly clock: Clock;
  readonly log: Log;
}): SessionKeys {
  const { databases, cookies, userMail, clock, log } = deps;
  /** By tenant and cookie header, of the latest check; only keys about which there is something to do. */
  const noted = new Map<string, { readonly state: 'due' | 'replaced'; readonly atMs: number }>();
  const running = new Map<string, Promise<unknown>>();
  const nameOf = (tenantId: TenantId, cookieHeader: string) => `${tenantId} ${cookieHeader}`;

  /** One at a time for each name in this process; who comes meanwhile gets the same answer. */
  function once<T>(name: string, tenantId: TenantId, what: string, act: () => Promise<T>): Promise<T | undefined> {
    const underWay = running.get(name);
    if (underWay) return underWay as Promise<T | undefined>;
    const run = act()
      .catch((error) => {
        log.warn(`${what} failed; the session goes on with the key it has`, { tenantId, error });
        return undefined;
      })
      .finally(() => running.delete(name));
    running.set(name, run);
    return run;
  }

  /** @returns whether the successor is what the browser is to have */
  async function rotate(tenantId: TenantId, key: SessionKey, successor: SessionKey): Promise<boolean> {
    const succession = successionOf(key, successor);
    const stands = await databases.platform.transact(tenantId, async (db) => {
      const isFirst = await rotateKey(db, succession, sessionIdleSeconds);
      if (isFirst) await failpoint('identity.rotate.before_commit');
      // A statement of its own, so that it sees what the winner has committed.
      return isFirst || isOwedSuccessor(db, succession);
    });
    await failpoint('identity.rotate.done');
    return stands;
  }

  /** Asked when the answer goes out: meanwhile the browser may have signed out or in anew, and a late answer must not undo that. */
  function isOwed(tenantId: TenantId, key: SessionKey, successor: SessionKey): Promise<boolean> {
    return databases.platform.read(tenantId, (db) => isOwedSuccessor(db, successionOf(key, successor)));
  }

  async function successorCookie(tenantId: TenantId, cookieHeader: string, state: 'due' | 'replaced') {
    const key = await cookies.findSessionKey(tenantId, cookieHeader);
    if (!key) return undefined;
    const successor = await cookies.successorOf(tenantId, key);
    const stands = await (state === 'due' ? rotate : isOwed)(tenantId, key, successor);
    return stands ? cookies.setSession(tenantId, successor) : undefined;
  }

  async function endIfReused(tenantId: TenantId, cookieHeader: string, address: string | undefined): Promise<void> {
    const key = await cookies.findSessionKey(tenantId, cookieHeader);
    if (!key) return;
    // Most who come here were signed out in an ordinary way: they cost a read.
    if (!(await databases.platform.read(tenantId, (db) => isReused(db, presentedAs(key))))) return;
    const user = await databases.platform.transact(tenantId, async (db) => {
      const userId = await endSessionIfReused(db, key, address);
      return userId && findUserById(db, userId);
    });
    if (user)
      userMail.send(tenantId, {
        kind: 'session_replayed',
        to: user.email,
        name: user.name,
        at: new Date(clock.now()).toISOString(),
        address,
      });
  }

  return {
    note({ tenantId, cookieHeader, tokenHash }, sessionId, state) {
      const name = nameOf(tenantId, cookieHeader);
      noted.delete(name);
      if (state === null) return;
      if (state === 'unused') {
        void once(`use ${name}`, tenantId, 'noting the first use of a session key', () =>
          databases.platform.transact(tenantId, (db) => noteKeyUse(db, sessionId, tokenHash)),
        );
        return;
      }
      if (noted.size >= maxNoted) noted.delete(noted.keys().next().value!);
      noted.set(name, { state, atMs: clock.monotonicMs() });
    },
    forget: ({ tenantId, cookieHeader }) => void noted.delete(nameOf(tenantId, cookieHeader)),
    renew(tenantId, cookieHeader) {
      if (cookieHeader === undefined || noted.size === 0) return undefined;
      const name = nameOf(tenantId, cookieHeader);
      const found = noted.get(name);
      if (!found) return undefined;
      const { state, atMs } = found;
      // The answer took longer than the grace: whoever waits for it has had other answers.
      if (state === 'replaced' && clock.monotonicMs() - atMs >= rotation.graceSeconds * 1000) return undefined;
      return once(`${state} ${name}`, tenantId, 'replacing a session key', () =>
        successorCookie(tenantId, cookieHeader, state),
      );
    },
    async refuse(tenantId, cookieHeader, address) {
      await once(`end ${nameOf(tenantId, cookieHeader)}`, tenantId, 'ending a session whose old key came back', () =>
        endIfReused(tenantId, cookieHeader, address),
      );
    },
    async settle() {
      while (running.size > 0) await Promise.all(running.values());
    },
  };
}

/**
 * Ends the session if `key` was replaced in it long ago: with the event in the tenant's security log and the notice to its user, in the caller's transaction.
 * @returns whose session it was; undefined: it goes on, or there is none
 */
export async function endSessionIfReused(
  db: Queryable,
  key: SessionKey,
  address: string | undefined,
): Promise<UserId | undefined> {
  const ended = await endReused(db, presentedAs(key), address);
  if (!ended) return undefined;
  await recordTenantAudit(db, {
    name: 'session.key_reused',
    actor: 'anonymous',
    subject: ended.userId,
    address,
    details: { sessionId: key.sessionId, replacements: ended.generation - key.generation },
  });
  await failpoint('identity.reuse.before_commit');
  return ended.userId;
}

function presentedAs(key: SessionKey) {
  return { sessionId: key.sessionId, hash: hashOf(key), generation: key.generation };
}

function successionOf(key: SessionKey, successor: SessionKey): Succession {
  return { sessionId: key.sessionId, hash: hashOf(key), successorHash: hashOf(successor) };
}
