import { createHash, createPublicKey } from 'node:crypto';
import { compactVerify, SignJWT } from 'jose';
import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint } from '#src/kernel/index.ts';
import type { FactorsKeyOf } from '../second-factors/redeem.ts';
import { hashToken, newToken } from '../sessions/cookie.ts';
import { deleteSession } from '../sql.ts';
import { locationOf, parseAuthorization, refusalLocation, sentAtName } from './authorization-request.ts';
import { authenticateClient } from './client-authentication.ts';
import { getParameter, parseParameters } from './parameters.ts';
import {
  deleteOldestCodes,
  deleteTokensOfCode,
  findAccessToken,
  findClientSecret,
  findSignedIn,
  insertAccessToken,
  insertCode,
  type SignedInPerson,
  type UsedCode,
  useCode,
} from './provider-sql.ts';
import { createSigningKeys } from './signing-keys.ts';
import { type AuthorizationRequest, ProviderRefusal, type ProviderTenant } from './types.ts';

const codeSeconds = 60;
/** Between ours and that of the database, which says when somebody signed in. */
const clockLeewayMs = 2_000;
/** Tabs that sign in at once. */
const unusedCodesPerSession = 20;
const idTokenSeconds = 300;
const accessTokenSeconds = 600;

export type Authorization =
  /** The browser goes there: to the app, with a code or with an error. */
  | { readonly kind: 'redirect'; readonly location: string }
  /** Nobody is signed in, or (`again`) too long: sign-in first, then the request again, as this query. */
  | { readonly kind: 'sign-in'; readonly again: boolean; readonly query: string }
  /** Shown here: where the request would lead is not the app. */
  | { readonly kind: 'shown'; readonly refusal: ProviderRefusal };

export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
  readonly id_token: string;
}

export interface LogOut {
  /** The session that the hint names is over now, whoever ended it. Undefined: there is no good hint. */
  readonly sessionId: string | undefined;
  /** An address of the app's; undefined: none was asked for, or it is not one of those. */
  readonly location: string | undefined;
}

export interface Provider {
  /** `sessionId`: of the browser that asks, which the gateway has checked. */
  authorize(tenant: ProviderTenant, query: string, sessionId: string | undefined): Promise<Authorization>;
  /** Throws ProviderRefusal. */
  exchange(
    tenant: ProviderTenant,
    request: { readonly authorization: string | undefined; readonly form: string },
  ): Promise<TokenAnswer>;
  /** Throws ProviderRefusal. */
  describeUser(tenant: ProviderTenant, authorization: string | undefined): Promise<Record<string, unknown>>;
  /**
   * Log-out begun by the app (OpenID Connect RP-Initiated Logout 1.0): ends the session that the ID token in `id_token_hint` is about. Whoever has that token has
   * come over the app; without it nothing ends, because any page can send a browser here. Throws ProviderRefusal.
   */
  endSession(tenant: ProviderTenant, parameters: string, address: string | undefined): Promise<LogOut>;
  /** JSON Web Key Set (RFC 7517). */
  listKeys(tenant: ProviderTenant): Promise<{ readonly keys: readonly Readonly<Record<string, string>>[] }>;
}

export function createProvider(deps: {
  readonly databases: Pick<TenantDatabases, 'platform'>;
  readonly factorsKeyOf: FactorsKeyOf;
  readonly clock: Clock;
}): Provider {
  const { platform } = deps.databases;
  const keys = createSigningKeys(deps.databases, deps.factorsKeyOf);
  const nowSeconds = () => Math.floor(deps.clock.now() / 1_000);

  return {
    async authorize(tenant, query, sessionId) {
      const { tenantId, issuer, client } = tenant;
      const parsed = parseAuthorization(tenant, query);
      if (parsed.kind === 'refused') return { kind: 'redirect', location: parsed.location };
      if (parsed.kind === 'shown') return parsed;
      const { request } = parsed;
      const refuse = (description: string): Authorization => ({
        kind: 'redirect',
        location: refusalLocation(issuer, request, new ProviderRefusal('login_required', description)),
      });
      const code = newToken();
      const signIn = (again: boolean): Authorization => {
        const next = new URLSearchParams(query);
        next.set(sentAtName, String(deps.clock.now()));
        return { kind: 'sign-in', again, query: next.toString() };
      };
      const person = await platform.transact(tenantId, async (db) => {
        const found = sessionId === undefined ? undefined : await findSignedIn(db, sessionId);
        if (!found || isTooOld(found, request)) return found;
        const { redirectUri, codeChallenge, nonce } = request;
        await insertCode(db, {
          codeHash: hashToken(code),
          sessionId: found.sessionId,
          clientId: client.clientId,
          redirectUri,
          codeChallenge,
          nonce,
          scope: request.scope.join(' '),
          lifetimeSeconds: codeSeconds,
        });
        await deleteOldestCodes(db, found.sessionId, unusedCodesPerSession);
        return found;
      });
      if (!person) return request.isSilent ? refuse('nobody is signed in') : signIn(false);
      if (isTooOld(person, request))
        return request.isSilent ? refuse('the sign-in is older than max_age') : signIn(true);
      return { kind: 'redirect', location: locationOf(issuer, request, { code: code.toString('base64url') }) };
    },

    async exchange(tenant, { authorization, form }) {
      const { tenantId, client } = tenant;
      const parameters = parseParameters(form);
      const clientSecret = await platform.read(tenantId, findClientSecret);
      if (clientSecret === undefined) throw new ProviderRefusal('invalid_client', 'the app was never started');
      authenticateClient({ clientId: client.clientId, clientSecret }, authorization, parameters);
      if (getParameter(parameters, 'grant_type') !== 'authorization_code')
        throw new ProviderRefusal('unsupported_grant_type', 'grant_type has to be authorization_code');
      const codeHash = hashToken(parseToken(getParameter(parameters, 'code')));
      const redirectUri = getParameter(parameters, 'redirect_uri');
      const verifier = getParameter(parameters, 'code_verifier');
      const key = await keys.get(tenantId);
      const token = newToken();
      // A refusal is an answer here, not a throw: that a code was used is committed in any case.
      const granted = await platform.transact(tenantId, async (db) => {
        const code = await useCode(db, codeHash);
        if (!code) {
          const [ended] = await deleteTokensOfCode(db, codeHash);
          const reused = { name: 'session.app_code_reused', actor: 'anonymous', address: undefined } as const;
          if (ended) await recordTenantAudit(db, { ...reused, subject: ended.sessionId });
          return undefined;
        }
        if (!isFor(code, { clientId: client.clientId, redirectUri, verifier })) return undefined;
        const person = await findSignedIn(db, code.sessionId);
        if (!person) return undefined;
        const { sessionId, scope } = code;
        const lifetimeSeconds = accessTokenSeconds;
        await insertAccessToken(db, { tokenHash: hashToken(token), codeHash, sessionId, scope, lifetimeSeconds });
        await failpoint('identity.provider.exchange.before_commit');
        return { code, person };
      });
      await failpoint('identity.provider.exchanged');
      if (!granted) throw new ProviderRefusal('invalid_grant', 'the code is used, expired, or for another request');
      const { code, person } = granted;
      const accessToken = token.toString('base64url');
      const idToken = await new SignJWT({
        ...claimsOf(person, code.scope),
        ...(code.nonce !== null && { nonce: code.nonce }),
        auth_time: Math.floor(person.signedInAt.getTime() / 1_000),
        sid: person.sessionId,
        at_hash: createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url'),
      })
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: key.keyId })
        .setIssuer(tenant.issuer)
        .setAudience(client.clientId)
        .setIssuedAt(nowSeconds())
        .setExpirationTime(nowSeconds() + idTokenSeconds)
        .sign(key.privateKey);
      return {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: accessTokenSeconds,
        scope: code.scope,
        id_token: idToken,
      };
    },

    async describeUser({ tenantId }, authorization) {
      const [, text = ''] = /^bearer +([A-Za-z0-9_-]{43})$/i.exec(authorization ?? '') ?? [];
      const found = await platform.read(tenantId, async (db) => {
        const token = await findAccessToken(db, hashToken(Buffer.from(text, 'base64url')));
        const person = token && (await findSignedIn(db, token.sessionId));
        return person && claimsOf(person, token.scope);
      });
      if (!found) throw new ProviderRefusal('invalid_token', 'the access token is over, or its session is');
      return found;
    },

    async endSession(tenant, text, address) {
      const parameters = parseParameters(text);
      const { client, tenantId } = tenant;
      const asked = parameters.get('post_logout_redirect_uri');
      const hint = await readHint(tenant, parameters.get('id_token_hint'));
      const namedClient = parameters.get('client_id');
      if (namedClient !== undefined && namedClient !== client.clientId)
        throw new ProviderRefusal('invalid_request', 'client_id is not that of the app');
      if (asked !== undefined && !client.signedOutUris.includes(asked))
        throw new ProviderRefusal('invalid_request', 'post_logout_redirect_uri is none of the app');
      if (hint)
        await platform.transact(tenantId, async (db) => {
          const { sub: userId, sid: subject } = hint;
          if (await deleteSession(db, userId, subject))
            await recordTenantAudit(db, { name: 'session.ended', actor: `user:${userId}`, subject, address });
        });
      const location = asked === undefined ? undefined : signedOutLocation(asked, parameters.get('state'));
      return { sessionId: hint?.sid, location };
    },

    listKeys: async ({ tenantId }) => ({ keys: [(await keys.get(tenantId)).publicJwk] }),
  };

  /** An ID token of this tenant for this app, however old: it only says whose session it was (RP-Initiated Logout 1.0, 2). */
  async function readHint(
    { tenantId, issuer, client }: ProviderTenant,
    hint: string | undefined,
  ): Promise<{ readonly sub: string; readonly sid: string } | undefined> {
    if (hint === undefined) return undefined;
    const { privateKey } = await keys.get(tenantId);
    const verified = await compactVerify(hint, createPublicKey(privateKey), { algorithms: ['RS256'] }).catch(() => {});
    if (!verified) return undefined;
    const { iss, aud, sub, sid } = JSON.parse(Buffer.from(verified.payload).toString('utf8'));
    return iss === issuer && aud === client.clientId ? { sub, sid } : undefined;
  }

  function isTooOld(
    { signedInAt }: SignedInPerson,
    { isAnew, maxAgeSeconds, sentAtMs }: Pick<AuthorizationRequest, 'isAnew' | 'maxAgeSeconds' | 'sentAtMs'>,
  ): boolean {
    if (sentAtMs !== undefined && signedInAt.getTime() >= sentAtMs - clockLeewayMs) return false;
    return isAnew || (maxAgeSeconds !== undefined && deps.clock.now() - signedInAt.getTime() > maxAgeSeconds * 1_000);
  }
}

function signedOutLocation(uri: string, state: string | undefined): string {
  const url = new URL(uri);
  if (state !== undefined) url.searchParams.append('state', state);
  return url.href;
}

/** Of our length, or of none that anybody was given. */
function parseToken(text: string): Buffer {
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) throw new ProviderRefusal('invalid_grant', 'this is no code of ours');
  return Buffer.from(text, 'base64url');
}

function isFor(
  code: UsedCode,
  presented: { readonly clientId: string; readonly redirectUri: string; readonly verifier: string },
): boolean {
  if (code.isOver || code.clientId !== presented.clientId || code.redirectUri !== presented.redirectUri) return false;
  // RFC 7636, 4.1 and 4.6.
  if (!/^[A-Za-z0-9._~-]{43,128}$/.test(presented.verifier)) return false;
  return createHash('sha256').update(presented.verifier).digest('base64url') === code.codeChallenge;
}

/** `roles` is always there: what somebody may do is what apps ask first. */
function claimsOf(person: SignedInPerson, scope: string): Record<string, unknown> {
  const granted = scope.split(' ');
  return {
    sub: person.userId,
    roles: [person.role],
    ...(granted.includes('profile') && { name: person.name }),
    ...(granted.includes('email') && { email: person.email }),
  };
}
