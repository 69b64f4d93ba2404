import { createHash } from 'node:crypto';
import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, type Log, randomBytes, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { LogoutMessage, LogoutRequest, SamlEngine } from '../saml/index.ts';
import type { Actor } from '../sessions/access.ts';
import type { Caller } from '../sessions/browser.ts';
import { hashToken, newToken, tokenBytes } from '../sessions/cookie.ts';
import { addressRange } from '../sign-in/address.ts';
import { createAdmission, perMinute } from './admission.ts';
import { signOnErrors } from './errors.ts';
import type { Origin } from './flow.ts';
import { endNamedSessions, findSignOnSession, rememberEnded } from './log-out-sql.ts';
import { trustedCertificates } from './metadata-rollover.ts';
import { refusedFor, type SignOnReason, type SignOnRefused } from './reasons.ts';
import { samlAddressesOf, sloUrlOf } from './saml-addresses.ts';
import { clockSkewMs, openSamlConnection } from './saml-flow.ts';
import type { ConnectionSecrets } from './secrets.ts';
import { type SignOnCookies, signOnLifetimeSeconds } from './sign-on-cookie.ts';
import { findConnection, findRequest, insertRequest, spendMessage, spendRequest } from './sign-on-sql.ts';
import type { SamlConnection, SignOnWay } from './types.ts';

/** Single log-out of SAML (profiles 4.4), over the browser, begun at either side. */
export interface SamlLogOut {
  /**
   * A provider's request, which ends exactly the sessions that it names. @returns where the browser goes with our answer; undefined: the provider has no address
   * for it. Throws FH_CONNECTION_NOT_FOUND, and FH_LOG_OUT_REFUSED for whatever is not in order; why stands in the security log.
   */
  endFromProvider(
    tenantId: TenantId,
    origin: Origin,
    connectionId: string,
    received: LogoutMessage,
    caller: Caller,
  ): Promise<string | undefined>;
  /** Ends the session of the actor, whatever happens then. @returns where the browser goes next: a page of ours, or the provider with our request */
  leave(
    tenantId: TenantId,
    origin: Origin,
    actor: Actor,
    caller: Caller,
  ): Promise<{ next: string; setCookies: readonly string[] }>;
  /** What the provider answered to that, in the browser that asked. Throws FH_LOG_OUT_NOT_FOUND, FH_LOG_OUT_REFUSED. */
  finishLeaving(
    tenantId: TenantId,
    origin: Origin,
    connectionId: string,
    received: LogoutMessage,
    caller: Caller,
  ): Promise<{ organisation: string; succeeded: boolean }>;
}

export const signedOutPath = '/-/signed-out';
/** The session is over, and the organisation could not be asked. */
export const notAskedPath = `${signedOutPath}?organisation=not-asked`;

/** Longer ones would make an address that servers refuse; the standard has 80 bytes (bindings 3.4.3). */
const longestRelayState = 1_024;
/** Refusals in the security log of one tenant, of one worker. What is beyond is refused all the same. */
const recordedPerMinute = 120;

export function createSamlLogOut(deps: {
  readonly databases: TenantDatabases;
  readonly engine: SamlEngine;
  readonly secrets: ConnectionSecrets;
  readonly signOnCookies: SignOnCookies;
  readonly signOut: (tenantId: TenantId, actor: Actor) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}): SamlLogOut {
  const { databases, engine, secrets, signOnCookies, signOut, clock, log } = deps;
  // Anybody can send messages that are refused: neither the judge nor the log is there for them without end.
  const admit = createAdmission(perMinute, 60);
  const admitRecord = createAdmission(recordedPerMinute, 60);

  async function getSamlConnection(tenantId: TenantId, connectionId: string): Promise<SamlConnection> {
    const connection = await databases.platform.read(tenantId, (db) => findConnection(db, connectionId));
    if (connection?.kind !== 'saml') throw signOnErrors.FH_CONNECTION_NOT_FOUND();
    return connection;
  }

  /** Where they can be, what our side is called; nothing of it comes from a message. */
  function expectedOf(origin: Origin, { connectionId, settings }: SamlConnection) {
    const spEntityId = samlAddressesOf(origin).entityId;
    return {
      spEntityId,
      idpEntityId: settings.idpEntityId,
      certificates: trustedCertificates(settings, clock.now()),
      clockSkewMs,
      sloUrl: sloUrlOf(origin, connectionId),
    };
  }

  async function refuse(
    tenantId: TenantId,
    { connectionId, name }: SamlConnection,
    reason: SignOnReason,
    { address }: Caller,
  ): Promise<never> {
    const isRecorded = await admitRecord(tenantId).then(
      () => true,
      () => false,
    );
    if (isRecorded)
      await databases.platform.transact(tenantId, (db) =>
        recordTenantAudit(db, {
          name: 'session.log_out_refused',
          actor: 'anonymous',
          subject: connectionId,
          address,
          details: { connection: name, reason },
        }),
      );
    throw signOnErrors.FH_LOG_OUT_REFUSED();
  }

  /** Once, and in one transaction with what it does: a message whose sessions did not end is still good. */
  async function end(
    db: Queryable,
    { connectionId, name }: SamlConnection,
    request: LogoutRequest,
    address: string | undefined,
  ): Promise<boolean> {
    const messageHash = hashOf(['log-out', request.issuer, request.id]);
    if (!(await spendMessage(db, messageHash, request.notOnOrAfter))) return false;
    const named = { connectionId, subject: request.nameId, indexes: request.sessionIndexes };
    await rememberEnded(db, named, request.notOnOrAfter);
    for (const { sessionId, userId } of await endNamedSessions(db, named))
      await recordTenantAudit(db, {
        name: 'session.ended_by_provider',
        actor: 'system',
        subject: sessionId,
        address,
        details: { connection: name, user: userId },
      });
    await failpoint('identity.log_out.before_commit');
    return true;
  }

  /** The request that is sent to the provider, after it is kept what it was. Undefined: the provider cannot be asked. */
  async function ask(
    tenantId: TenantId,
    origin: Origin,
    connection: SamlConnection,
    { subject, sessionIndex, nameQualifier, spNameQualifier }: SignOnWay,
    { actor, caller }: { actor: Actor; caller: Caller },
  ): Promise<{ next: string; setCookies: readonly string[] } | undefined> {
    const { slo, nameIdFormat } = connection.settings;
    const opened = await openSamlConnection({ secrets, clock }, tenantId, connection);
    if (slo?.binding !== 'redirect' || !opened.ok) return undefined;
    const browserToken = (await signOnCookies.find(tenantId, caller.cookieHeader)) ?? newToken();
    const state = randomBytes(tokenBytes).toString('base64url');
    const { id, url } = engine.createLogoutRequest({
      sloUrl: slo.url,
      spEntityId: samlAddressesOf(origin).entityId,
      nameId: subject,
      nameIdFormat,
      ...(nameQualifier !== null && { nameQualifier }),
      ...(spNameQualifier !== null && { spNameQualifier }),
      ...(sessionIndex !== null && { sessionIndexes: [sessionIndex] }),
      relayState: state,
      signWith: { privateKey: opened.newest },
    });
    const { connectionId, name } = connection;
    await databases.platform.transact(tenantId, async (db) => {
      await insertRequest(db, {
        stateHash: logOutHash(state),
        browserHash: hashToken(browserToken),
        connectionId,
        requestId: id,
        testerId: undefined,
        nextPath: signedOutPath,
        lifetimeSeconds: signOnLifetimeSeconds,
      });
      await recordTenantAudit(db, {
        name: 'session.provider_log_out_asked',
        actor: `user:${actor.session.user.userId}`,
        subject: actor.session.sessionId,
        address: caller.address,
        details: { connection: name },
      });
      await failpoint('identity.log_out.asked.before_commit');
    });
    return { next: url, setCookies: [await signOnCookies.set(tenantId, browserToken)] };
  }

  return {
    async endFromProvider(tenantId, origin, connectionId, received, caller) {
      await admit(addressRange(caller.address ?? ''));
      const connection = await getSamlConnection(tenantId, connectionId);
      const refused = (reason: SignOnReason) => refuse(tenantId, connection, reason, caller);
      if (connection.state === 'off') return refused('connection_off');
      const opened = await openSamlConnection({ secrets, clock }, tenantId, connection);
      if (!opened.ok) return refused(opened.reason);
      const expected = { ...expectedOf(origin, connection), decryptionKeys: opened.keys };
      const verdict = await engine.verifyLogoutRequest({ received, expected, from: tenantId });
      if (!verdict.ok) return refused(verdict.reason);
      const { request } = verdict;
      const misnamed = judgeName(request, connection, expected.spEntityId);
      if (misnamed) return refused(misnamed.reason);
      if (!(await databases.platform.transact(tenantId, (db) => end(db, connection, request, caller.address))))
        return refused('replayed');
      const { slo } = connection.settings;
      if (slo?.binding !== 'redirect') return undefined;
      return engine.createLogoutResponse({
        sloUrl: slo.responseUrl,
        spEntityId: expected.spEntityId,
        inResponseTo: request.id,
        // That nobody was signed in is what was asked for, too.
        isSuccess: true,
        ...(request.relayState !== undefined && { relayState: request.relayState }),
        signWith: { privateKey: opened.newest },
      }).url;
    },

    async leave(tenantId, origin, actor, caller) {
      const { sessionId } = actor.session;
      const before = await databases.platform.read(tenantId, async (db) => {
        const session = await findSignOnSession(db, sessionId);
        return session && { session, connection: await findConnection(db, session.connectionId) };
      });
      await signOut(tenantId, actor);
      await failpoint('identity.log_out.session_ended');
      const { session, connection } = before ?? {};
      if (!session || connection?.kind !== 'saml' || !connection.settings.slo)
        return { next: signedOutPath, setCookies: [] };
      const asked = await ask(tenantId, origin, connection, session, { actor, caller }).catch((error) => {
        log.warn('a provider was not asked to sign somebody out', { tenantId, error });
        return undefined;
      });
      return asked ?? { next: notAskedPath, setCookies: [] };
    },

    async finishLeaving(tenantId, origin, connectionId, received, caller) {
      const browserToken = await signOnCookies.find(tenantId, caller.cookieHeader);
      const state = relayStateOf(received);
      if (!browserToken || state === undefined) throw signOnErrors.FH_LOG_OUT_NOT_FOUND();
      const key = [logOutHash(state), hashToken(browserToken)] as const;
      const { request, connection } = await databases.platform.read(tenantId, async (db) => ({
        request: await findRequest(db, ...key),
        connection: await findConnection(db, connectionId),
      }));
      if (connection?.kind !== 'saml' || request?.connectionId !== connection.connectionId || !request.requestId)
        throw signOnErrors.FH_LOG_OUT_NOT_FOUND();
      const expected = { ...expectedOf(origin, connection), requestIds: [request.requestId] };
      const verdict = await engine.verifyLogoutResponse({ received, expected, from: tenantId });
      // What is refused uses nothing up: the right answer may still come.
      if (!verdict.ok) return refuse(tenantId, connection, verdict.reason, caller);
      const { isSuccess: succeeded } = verdict.response;
      await databases.platform.transact(tenantId, async (db) => {
        if (!(await spendRequest(db, ...key))) throw signOnErrors.FH_LOG_OUT_NOT_FOUND();
        await recordTenantAudit(db, {
          name: 'session.provider_log_out_answered',
          actor: 'anonymous',
          subject: connectionId,
          address: caller.address,
          details: { connection: connection.name, succeeded },
        });
        await failpoint('identity.log_out.answer.before_commit');
      });
      return { organisation: connection.name, succeeded };
    },
  };
}

/** The name must be of the format and the namespace that this connection's people are known by: the same text in another one is somebody else. */
function judgeName(
  { nameIdFormat, nameQualifier, spNameQualifier, relayState }: LogoutRequest,
  { settings }: SamlConnection,
  spEntityId: string,
): SignOnRefused | undefined {
  if (nameIdFormat !== settings.nameIdFormat) return refusedFor('name_id_format');
  if (nameQualifier !== undefined && nameQualifier !== settings.idpEntityId) return refusedFor('name_id');
  if (spNameQualifier !== undefined && spNameQualifier !== spEntityId) return refusedFor('name_id');
  if (relayState !== undefined && (relayState.length > longestRelayState || !relayState.isWellFormed()))
    return refusedFor('too_large');
  return undefined;
}

/** As we made it, once; in a redirect it is under the signature, too. */
function relayStateOf(received: LogoutMessage): string | undefined {
  const states =
    received.binding === 'post'
      ? [received.relayState ?? '']
      : new URLSearchParams(received.rawQuery).getAll('RelayState');
  return states.length === 1 && /^[A-Za-z0-9_-]{43}$/.test(states[0]!) ? states[0] : undefined;
}

/** Apart from sign-ins that wait: an answer to the one is none to the other. */
const logOutHash = (state: string) => hashOf(['log-out state', state]);

const hashOf = (parts: readonly string[]) => createHash('sha256').update(JSON.stringify(parts)).digest();
