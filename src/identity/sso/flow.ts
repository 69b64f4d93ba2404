import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, randomBytes, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { PasswordQueue } from '../passwords/hash-queue.ts';
import { type AwaitedSignIn, awaitSecondFactor } from '../second-factors/challenge.ts';
import { hasSecondFactor } from '../second-factors/second-factor-sql.ts';
import { type BrowserCookies, type Caller, describeUserAgent } from '../sessions/browser.ts';
import { hashToken, newToken, tokenBytes } from '../sessions/cookie.ts';
import { type StartedSession, startSession } from '../sessions/session-start.ts';
import { isKnownDevice, noteSignIn, type UserRow } from '../sql.ts';
import type { UserMail } from '../users/user-mail.ts';
import { signOnErrors } from './errors.ts';
import { wasEnded } from './log-out-sql.ts';
import { domainOf } from './mail-domain.ts';
import { parseNextPath } from './next-path.ts';
import type { OidcClients } from './oidc.ts';
import { findOrMakeUser, judgeEmail, mappedRole } from './people.ts';
import { findConnectionOfDomain, findSignOnPolicy, insertSignOnSession, noteForeignFactor } from './people-sql.ts';
import { refusedFor, type SignOnReason, type SignOnRefused, signOnReasons } from './reasons.ts';
import type { SamlFlow } from './saml-flow.ts';
import type { SamlRefresh } from './saml-refresh.ts';
import type { ConnectionSecrets } from './secrets.ts';
import { type SignOnCookies, signOnLifetimeSeconds } from './sign-on-cookie.ts';
import {
  findConnection,
  findRequest,
  holdConnection,
  insertRequest,
  keepTest,
  type SignOnRequest,
  selectConnections,
  spendMessage,
  spendRequest,
} from './sign-on-sql.ts';
import type { Connection, ConnectionId, SignOnPerson, SignOnTest, SignOnWay } from './types.ts';

/** What became of an answer of a provider. */
export type SignOnOutcome =
  | { readonly tested: ConnectionId }
  | { readonly tested?: undefined; readonly next: string; readonly entered: StartedSession | AwaitedSignIn };

/** Where the tenant is, as configured: `https://NAME.DOMAIN[:PORT]`. Never from the request. */
export type Origin = string;

/** The browser's part of single sign-on: to the provider, and back. */
export interface SignOnFlow {
  /** What the sign-in page offers; the same for everybody. */
  getSignOn(
    tenantId: TenantId,
  ): Promise<{ enforced: boolean; connections: readonly { connectionId: ConnectionId; name: string }[] }>;
  /** The connection of an address's domain; says nothing about whether anybody has the address. */
  discoverSignOn(tenantId: TenantId, email: string): Promise<ConnectionId | undefined>;
  /**
   * Begins a sign-in at the provider in this browser. `testerId`: an owner tests the connection. Throws FH_CONNECTION_NOT_FOUND, for one that is off too, and
   * FH_SIGN_ON_REFUSED.
   */
  beginSignOn(
    tenantId: TenantId,
    origin: Origin,
    wanted: { connectionId: string; next?: string | undefined; email?: string | undefined },
    caller: Caller,
    testerId?: UserRow['userId'],
  ): Promise<{ url: string; setCookies: readonly string[] }>;
  /**
   * `query`: with which the provider sent the browser back. Throws FH_SIGN_ON_NOT_FOUND, the same for none, another browser's, another tenant's, used and expired ones,
   * and FH_SIGN_ON_REFUSED for whatever the provider said or did not say; why stands in the security log.
   */
  finishOidc(tenantId: TenantId, origin: Origin, query: string, caller: Caller): Promise<SignOnOutcome>;
  finishSaml(
    tenantId: TenantId,
    origin: Origin,
    answer: { samlResponse: string; relayState: string },
    caller: Caller,
  ): Promise<SignOnOutcome>;
}

export const redirectUriOf = (origin: Origin) => `${origin}/-/sign-on/callback`;

export interface SignOnFlowDeps {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly signOnCookies: SignOnCookies;
  readonly secrets: ConnectionSecrets;
  readonly oidc: OidcClients;
  readonly saml: SamlFlow;
  readonly refresh: SamlRefresh;
  readonly queue: PasswordQueue;
  readonly userMail: UserMail;
  readonly clock: Clock;
}

export function createSignOnFlow(deps: SignOnFlowDeps): SignOnFlow {
  const { databases, cookies, signOnCookies, secrets, oidc, saml, refresh, queue, userMail, clock } = deps;

  /** Recorded in a transaction of its own, and told to an owner who tests. */
  async function refuse(
    tenantId: TenantId,
    connection: Connection,
    request: SignOnRequest,
    reason: SignOnReason,
    { address }: Caller,
    person?: SignOnPerson,
  ): Promise<SignOnOutcome> {
    if (request.testerId) {
      await keepOutcome(tenantId, connection, request, { passed: false, sentence: signOnReasons[reason] }, person);
      return { tested: connection.connectionId };
    }
    await databases.platform.transact(tenantId, (db) =>
      recordTenantAudit(db, {
        name: 'session.sign_on_failed',
        actor: 'anonymous',
        subject: connection.connectionId,
        address,
        details: { connection: connection.name, reason },
      }),
    );
    throw signOnErrors.FH_SIGN_ON_REFUSED();
  }

  async function keepOutcome(
    tenantId: TenantId,
    connection: Connection,
    { testerId }: SignOnRequest,
    outcome: Pick<SignOnTest, 'passed' | 'sentence'>,
    person: SignOnPerson | undefined,
  ): Promise<void> {
    const test: SignOnTest = {
      ...outcome,
      at: new Date(clock.now()).toISOString(),
      email: person?.email ?? null,
      name: person?.name ?? null,
      role: person ? (mappedRole(connection.settings, person) ?? null) : null,
      claims: person?.claims ?? [],
      secondFactor: person ? isFactorTrusted(connection, person) : null,
    };
    await databases.platform.transact(tenantId, async (db) => {
      await keepTest(db, connection, test);
      await recordTenantAudit(db, {
        name: 'connection.tested',
        actor: `user:${testerId}`,
        subject: connection.connectionId,
        details: { connection: connection.name, passed: outcome.passed },
      });
      await failpoint('identity.sign_on.test.before_commit');
    });
  }

  /** Everything about the person was verified: what is left is who they are here. `spend`: in the same transaction, what makes the answer good once. */
  async function enter(
    tenantId: TenantId,
    connection: Connection,
    request: SignOnRequest,
    person: SignOnPerson,
    caller: Caller,
    spend?: (db: Queryable) => Promise<boolean>,
  ): Promise<SignOnOutcome> {
    if (request.testerId) {
      const judged = await databases.platform.transact(tenantId, async (db) => {
        if (spend && !(await spend(db))) throw signOnErrors.FH_SIGN_ON_NOT_FOUND();
        return judgeEmail(db, connection, person);
      });
      if (!judged.ok) return refuse(tenantId, connection, request, judged.reason, caller, person);
      await keepOutcome(tenantId, connection, request, { passed: true, sentence: null }, person);
      return { tested: connection.connectionId };
    }
    const tryToEnter = (unusedHash: string | undefined) =>
      databases.platform.transact(tenantId, async (db) => {
        if (spend && !(await spend(db))) throw signOnErrors.FH_SIGN_ON_NOT_FOUND();
        // The provider took its time: turned off, or changed, meanwhile.
        requireSame(connection, await findConnection(db, connection.connectionId));
        const found = await findOrMakeUser(db, connection, person, { unusedHash, address: caller.address });
        if ('needsHash' in found) throw new NeedsHash();
        if (!found.ok) return found;
        // And until the commit. After the user: see lockPeopleOf.
        requireSame(connection, await holdConnection(db, connection.connectionId));
        // The link of the person is locked by now, for a log-out as well: one of the two sees the other.
        if (await wasEnded(db, connection.connectionId, person)) return refusedFor('session_expired');
        const entered = await begin(db, tenantId, connection, person, found.user, caller);
        await failpoint('identity.sign_on.before_commit');
        return { ...found, ...entered };
      });
    const done = await tryToEnter(undefined).catch(async (error) => {
      if (!(error instanceof NeedsHash)) throw error;
      // Of a password that nobody knows: the user is like any other, and may choose one by mail. Hashed outside of the transaction, which was rolled back.
      return tryToEnter(await queue.admit(() => queue.hash(randomBytes(32).toString('base64url'))));
    });
    if (!done.ok) return refuse(tenantId, connection, request, done.reason, caller, person);
    const { user, known, entered } = done;
    if (entered.session && !known && user.lastSignInAt)
      userMail.send(tenantId, {
        kind: 'new_sign_in',
        to: user.email,
        name: user.name,
        at: new Date(clock.now()).toISOString(),
        address: caller.address,
        browser: describeUserAgent(caller.userAgent),
      });
    return { next: request.nextPath, entered };
  }

  /** A session, or the second step where the provider is not trusted to have asked for one. */
  async function begin(
    db: Queryable,
    tenantId: TenantId,
    connection: Connection,
    person: SignOnPerson,
    user: UserRow,
    caller: Caller,
  ): Promise<{ known: boolean; entered: StartedSession | AwaitedSignIn }> {
    const deviceToken = await cookies.findDeviceToken(tenantId, caller.cookieHeader);
    const known = deviceToken !== undefined && (await isKnownDevice(db, user.userId, hashToken(deviceToken)));
    const isTrusted = isFactorTrusted(connection, person);
    await recordTenantAudit(db, {
      name: 'session.sign_on_verified',
      actor: `user:${user.userId}`,
      subject: user.userId,
      address: caller.address,
      details: { connection: connection.name, secondFactor: isTrusted },
    });
    const way: SignOnWay = {
      connectionId: connection.connectionId,
      subject: person.subject,
      sessionIndex: person.sessionIndex ?? null,
      nameQualifier: person.nameQualifier ?? null,
      spNameQualifier: person.spNameQualifier ?? null,
    };
    if (!isTrusted && (await hasSecondFactor(db, user.userId)))
      return { known, entered: await awaitSecondFactor(db, cookies, tenantId, user, { known, caller, way }) };
    await noteSignIn(db, user.userId);
    const started = await startSession(db, cookies, tenantId, user, caller);
    const { sessionId } = started.session;
    if (isTrusted) await noteForeignFactor(db, sessionId);
    await insertSignOnSession(db, sessionId, way);
    return { known, entered: started };
  }

  /** What a sign-in that waits in this browser is looked for by. */
  async function keyOf(tenantId: TenantId, state: string | undefined, { cookieHeader }: Caller) {
    const browserToken = await signOnCookies.find(tenantId, cookieHeader);
    if (!browserToken || state === undefined || !/^[A-Za-z0-9_-]{43}$/.test(state))
      throw signOnErrors.FH_SIGN_ON_NOT_FOUND();
    return { state, browserToken, stateHash: hashToken(Buffer.from(state)), browserHash: hashToken(browserToken) };
  }

  /** Turned off meanwhile: only a test goes on. */
  async function connectionOf(db: Queryable, request: SignOnRequest | undefined): Promise<Connection> {
    const connection = request && (await findConnection(db, request.connectionId));
    if (!connection || (connection.state === 'off' && !request.testerId)) throw signOnErrors.FH_SIGN_ON_NOT_FOUND();
    return connection;
  }

  return {
    getSignOn: (tenantId) =>
      databases.platform.read(tenantId, async (db) => {
        const connections = await selectConnections(db);
        const { enforced } = await findSignOnPolicy(db);
        return {
          enforced,
          connections: connections
            .filter(({ state }) => state === 'on')
            .map(({ connectionId, name }) => ({ connectionId, name })),
        };
      }),

    discoverSignOn: (tenantId, email) =>
      // The same statement for an address that is none.
      databases.platform.read(tenantId, (db) => findConnectionOfDomain(db, domainOf(email) ?? '')),

    async beginSignOn(tenantId, origin, { connectionId, next, email }, caller, testerId) {
      const connection = await databases.platform.read(tenantId, (db) => findConnection(db, connectionId));
      if (!connection || (connection.state === 'off' && !testerId)) throw signOnErrors.FH_CONNECTION_NOT_FOUND();
      // One cookie for all sign-ins that begin in this browser at a time, so that two windows do not disturb each other.
      const browserToken = (await signOnCookies.find(tenantId, caller.cookieHeader)) ?? newToken();
      const state = randomBytes(tokenBytes).toString('base64url');
      const round = { redirectUri: redirectUriOf(origin), state, browserToken };
      const sent =
        connection.kind === 'oidc'
          ? await oidc(tenantId).authorizationUrl(connection.settings, round, email)
          : await saml.begin(tenantId, origin, await refresh.refreshIfDue(tenantId, connection), state);
      const request = {
        connectionId: connection.connectionId,
        requestId: sent.ok && 'requestId' in sent ? String(sent.requestId) : undefined,
        testerId,
        nextPath: parseNextPath(next),
      };
      if (!sent.ok) {
        const waiting = { ...request, requestId: null, testerId: testerId ?? null };
        await refuse(tenantId, connection, waiting, sent.reason, caller);
        throw signOnErrors.FH_SIGN_ON_REFUSED({ detail: signOnReasons[sent.reason] });
      }
      await databases.platform.transact(tenantId, (db) =>
        insertRequest(db, {
          ...request,
          stateHash: hashToken(Buffer.from(state)),
          browserHash: hashToken(browserToken),
          lifetimeSeconds: signOnLifetimeSeconds,
        }),
      );
      return { url: sent.url, setCookies: [await signOnCookies.set(tenantId, browserToken)] };
    },

    async finishOidc(tenantId, origin, query, caller) {
      const states = new URLSearchParams(query).getAll('state');
      const key = await keyOf(tenantId, states.length === 1 ? states[0] : undefined, caller);
      // Used up before the code is: whoever comes second finds nothing to redeem it with.
      const { request, connection } = await databases.platform.transact(tenantId, async (db) => {
        const request = await spendRequest(db, key.stateHash, key.browserHash);
        return { request: request!, connection: await connectionOf(db, request) };
      });
      await failpoint('identity.sign_on.request_spent');
      if (connection.kind !== 'oidc') throw signOnErrors.FH_SIGN_ON_NOT_FOUND();
      const { connectionId, settings, sealedSecret } = connection;
      const secret = await secrets.open(tenantId, connectionId, sealedSecret);
      const redeemed: { ok: true; person: SignOnPerson } | SignOnRefused =
        secret === undefined
          ? refusedFor('secret_missing')
          : await oidc(tenantId).redeem(settings, secret, { ...key, redirectUri: redirectUriOf(origin) }, query);
      if (!redeemed.ok) return refuse(tenantId, connection, request, redeemed.reason, caller);
      return enter(tenantId, connection, request, redeemed.person, caller);
    },

    async finishSaml(tenantId, origin, { samlResponse, relayState }, caller) {
      const key = await keyOf(tenantId, relayState, caller);
      const found = await databases.platform.read(tenantId, async (db) => {
        const request = await findRequest(db, key.stateHash, key.browserHash);
        return { request: request!, connection: await connectionOf(db, request) };
      });
      const { request } = found;
      const { requestId } = request;
      if (found.connection.kind !== 'saml' || requestId === null) throw signOnErrors.FH_SIGN_ON_NOT_FOUND();
      let { connection } = found;
      let verified = await saml.verify(tenantId, origin, connection, requestId, samlResponse);
      if (!verified.ok && ofUnknownKey.has(verified.reason)) {
        const renewed = await refresh.refreshForKey(tenantId, connection);
        if (renewed) {
          connection = renewed;
          verified = await saml.verify(tenantId, origin, connection, requestId, samlResponse);
        }
      }
      // What is refused uses nothing up: the right answer may still come.
      if (!verified.ok) return refuse(tenantId, connection, request, verified.reason, caller);
      const { person, messageHash, messageEndsAt } = verified;
      return enter(tenantId, connection, request, person, caller, async (db) => {
        if (!(await spendRequest(db, key.stateHash, key.browserHash))) return false;
        return spendMessage(db, messageHash, messageEndsAt);
      });
    },
  };
}

/** What new keys of the provider would make good. */
const ofUnknownKey: ReadonlySet<SignOnReason> = new Set([
  'signature_invalid',
  'certificate_unusable',
  'metadata_expired',
] as const);

function requireSame(connection: Connection, now: Pick<Connection, 'state' | 'changedAt'> | undefined): void {
  if (now?.state !== connection.state || now.changedAt.getTime() !== connection.changedAt.getTime())
    throw signOnErrors.FH_SIGN_ON_NOT_FOUND();
}

/** Thrown inside a transaction, which it rolls back. */
class NeedsHash extends Error {}

function isFactorTrusted({ settings }: Connection, person: SignOnPerson): boolean {
  return settings.secondFactor === 'provider' || (settings.secondFactor === 'evidence' && person.hasFactorEvidence);
}
