import { createHash } from 'node:crypto';
import * as client from 'openid-client';
import type { Clock, FreeholdError } from '#src/kernel/index.ts';
import type { Outgoing } from '#src/outgoing/types.ts';
import { isFactorEvidence } from './factor-evidence.ts';
import { refusedFor, type SignOnReason, type SignOnRefused } from './reasons.ts';
import type { OidcSettings, SignOnPerson } from './types.ts';

/** One sign-in: what is sent, and what has to come back. */
export interface OidcRound {
  readonly redirectUri: string;
  readonly state: string;
  /** What only the browser has, from its cookie: PKCE verifier and nonce come from it, so they are stored nowhere. */
  readonly browserToken: Uint8Array;
}

export interface OidcClient {
  /** Whether there is a provider that a browser can be sent to. */
  discover(settings: Pick<OidcSettings, 'issuer' | 'clientId'>): Promise<{ readonly ok: true } | SignOnRefused>;
  authorizationUrl(
    settings: OidcSettings,
    round: OidcRound,
    loginHint?: string,
  ): Promise<{ readonly ok: true; readonly url: string } | SignOnRefused>;
  /** `query`: of the redirect address, as the browser came back with it. */
  redeem(
    settings: OidcSettings,
    secret: string,
    round: OidcRound,
    query: string,
  ): Promise<{ readonly ok: true; readonly person: SignOnPerson } | SignOnRefused>;
}

const metadataLifetimeMs = 3_600_000;
const maxRemembered = 200;
/** Asymmetric and in use; what the provider says it signs with has to be one of these. */
const algorithms = new Set([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]);

/** Of one tenant, on whose behalf it asks. Cheap: what was learned of providers is kept for all. */
export type OidcClients = (tenantId: string) => OidcClient;

interface OidcDeps {
  readonly outgoing: Outgoing;
  readonly clock: Clock;
}

type Remembered = Map<string, { readonly config: client.Configuration; readonly untilMs: number }>;

export function createOidcClients(deps: OidcDeps): OidcClients {
  const remembered: Remembered = new Map();
  return (tenantId) => createOidcClient(tenantId, remembered, deps);
}

/**
 * OpenID Connect Core 1.0, authorization code with PKCE (S256), state and nonce, over `openid-client`. The ID token's signature is checked as well,
 * although it comes over TLS. Issuer, audience, azp, nonce, times and RFC 9207's `iss` are the library's work, shown by oidc.test.ts.
 */
function createOidcClient(tenantId: string, remembered: Remembered, { outgoing, clock }: OidcDeps): OidcClient {
  const fetchOutside: client.CustomFetch = (url, { method, headers, body, signal }) =>
    outgoing.fetch(url, {
      onBehalfOf: tenantId,
      method: method as 'GET' | 'POST',
      // The door says who we are.
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'user-agent')),
      ...(body !== undefined && body !== null && { body: String(body) }),
      ...(signal && { signal }),
    });

  /** Discovery 1.0, section 4: the document names exactly the issuer that it was asked for. */
  async function configure(
    settings: Pick<OidcSettings, 'issuer' | 'clientId'>,
    // None is needed to ask what the provider says of itself.
    secret = 'unused',
  ): Promise<client.Configuration> {
    const hash = createHash('sha256')
      .update(JSON.stringify([tenantId, settings.issuer, settings.clientId, secret]))
      .digest('hex');
    const known = remembered.get(hash);
    if (known && known.untilMs > clock.monotonicMs()) return known.config;
    const found = await client.discovery(new URL(settings.issuer), settings.clientId, undefined, client.None(), {
      [client.customFetch]: fetchOutside,
      timeout: 10,
    });
    const { supportsPKCE: _, ...server } = found.serverMetadata();
    // Discovery 1.0, section 3: left out means basic.
    const ways = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const authentication = ways.includes('client_secret_post')
      ? client.ClientSecretPost(secret)
      : client.ClientSecretBasic(secret);
    const usable = (server.id_token_signing_alg_values_supported ?? ['RS256']).filter((one) => algorithms.has(one));
    if (usable.length === 0) throw new Error('no algorithm that is taken');
    const config = new client.Configuration(
      { ...server, id_token_signing_alg_values_supported: usable },
      settings.clientId,
      { [client.clockTolerance]: 60 },
      authentication,
    );
    config[client.customFetch] = fetchOutside;
    config.timeout = 10;
    client.enableNonRepudiationChecks(config);
    if (remembered.size >= maxRemembered) remembered.delete(remembered.keys().next().value!);
    remembered.set(hash, { config, untilMs: clock.monotonicMs() + metadataLifetimeMs });
    return config;
  }

  return {
    async discover(settings) {
      try {
        const { authorization_endpoint: authorization, token_endpoint: token } = (
          await configure(settings)
        ).serverMetadata();
        return isHttps(authorization) && isHttps(token) ? { ok: true } : refusedFor('answer_invalid');
      } catch (error) {
        return refusedFor(reasonOf(error, 'answer_invalid'));
      }
    },

    async authorizationUrl(settings, round, loginHint) {
      try {
        const config = await configure(settings);
        if (!isHttps(config.serverMetadata().authorization_endpoint)) return refusedFor('answer_invalid');
        const url = client.buildAuthorizationUrl(config, {
          redirect_uri: round.redirectUri,
          scope: 'openid email profile',
          state: round.state,
          nonce: derive(round, 'nonce'),
          code_challenge: await client.calculatePKCECodeChallenge(derive(round, 'verifier')),
          code_challenge_method: 'S256',
          ...(loginHint && { login_hint: loginHint }),
        });
        return { ok: true, url: url.href };
      } catch (error) {
        return refusedFor(reasonOf(error, 'answer_invalid'));
      }
    },

    async redeem(settings, secret, round, query) {
      try {
        const config = await configure(settings, secret);
        const tokens = await client.authorizationCodeGrant(config, new URL(`${round.redirectUri}?${query}`), {
          expectedState: round.state,
          expectedNonce: derive(round, 'nonce'),
          pkceCodeVerifier: derive(round, 'verifier'),
          idTokenExpected: true,
        });
        const told: Claims = { ...tokens.claims()! };
        const { userinfo_endpoint: userinfo } = config.serverMetadata();
        // Some put only the subject into the ID token.
        const misses =
          told.email === undefined || (settings.roleClaim !== null && !Object.hasOwn(told, settings.roleClaim));
        if (misses && isHttps(userinfo)) {
          const more = await client.fetchUserInfo(config, tokens.access_token, String(told.sub));
          // The ID token is signed and counts where both speak; userinfo speaks for the same subject (Core 1.0, 5.3.2).
          const first = Object.hasOwn(told, 'email') ? told : more;
          for (const [name, value] of Object.entries(more)) if (!Object.hasOwn(told, name)) told[name] = value;
          // An address and what is said of it belong together: the one may say of hers what the other may not.
          told.email_verified = first.email_verified;
        }
        return { ok: true, person: toPerson(told, settings) };
      } catch (error) {
        return refusedFor(reasonOf(error, 'token_invalid'));
      }
    },
  };
}

type Claims = Record<string, unknown>;

/** PKCE verifier (RFC 7636, 4.1: 43 characters) and nonce of one round: nobody who lacks the cookie can compute them, the nonce tells nothing of the verifier. */
function derive({ state, browserToken }: OidcRound, use: 'verifier' | 'nonce'): string {
  return createHash('sha256').update(`freehold oidc ${use} ${state} `).update(browserToken).digest('base64url');
}

function isHttps(url: string | undefined): url is string {
  return url !== undefined && URL.canParse(url) && new URL(url).protocol === 'https:';
}

function toPerson(claims: Claims, settings: OidcSettings): SignOnPerson {
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value.slice(0, 500) : undefined);
  // Own fields only: `__proto__` and its like are names as any other.
  const named = (name: string) => (Object.hasOwn(claims, name) ? claims[name] : undefined);
  const values = settings.roleClaim === null ? undefined : named(settings.roleClaim);
  const { amr, acr } = claims;
  return {
    subject: String(claims.sub),
    email: text(named('email')),
    isEmailVerified: isPrivateGoogle(settings, claims) ? false : readVerified(named('email_verified')),
    name: text(named('name')),
    roleValues: [values].flat().filter((value): value is string => typeof value === 'string'),
    hasFactorEvidence: isFactorEvidence({ acr, amr: Array.isArray(amr) ? amr : [] }),
    claims: Object.keys(claims).slice(0, 100),
  };
}

/** Google verifies addresses of other domains, too; only with `hd` is it the domain's own directory that speaks, and that forgets who leaves (Google, OpenID Connect, ID token). */
function isPrivateGoogle({ issuer }: OidcSettings, { email, hd }: Claims): boolean {
  return issuer === 'https://accounts.google.com' && (typeof hd !== 'string' || !String(email).endsWith(`@${hd}`));
}

/** Some providers write it as text. */
function readVerified(value: unknown): boolean | undefined {
  if (value === true || value === 'true') return true;
  return value === undefined || value === null ? undefined : false;
}

/** From what the library throws; nothing that the provider wrote goes on. */
function reasonOf(error: unknown, otherwise: SignOnReason): SignOnReason {
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (/^FH_OUTGOING_/.test((at as FreeholdError).code ?? '')) return 'provider_unreachable';
  if (error instanceof client.AuthorizationResponseError) return 'provider_refused';
  if (error instanceof client.WWWAuthenticateChallengeError) return 'client_refused';
  if (error instanceof client.ResponseBodyError)
    return error.error === 'invalid_client' || error.error === 'unauthorized_client'
      ? 'client_refused'
      : 'code_refused';
  const code = (error as { code?: unknown }).code;
  if (code === 'OAUTH_TIMEOUT' || (error as Error).name === 'TimeoutError') return 'provider_unreachable';
  return otherwise;
}
