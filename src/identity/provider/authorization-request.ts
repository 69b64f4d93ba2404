import { getParameter, parseParameters } from './parameters.ts';
import { type AuthorizationRequest, ProviderRefusal, type ProviderTenant, type Scope, scopes } from './types.ts';

/** Whom an answer goes to. Only an address that is the client's own gets one; every other mistake is shown on a page (RFC 6749, 4.1.2.1). */
export type ParsedAuthorization =
  | { readonly kind: 'accepted'; readonly request: AuthorizationRequest }
  | { readonly kind: 'refused'; readonly location: string }
  | { readonly kind: 'shown'; readonly refusal: ProviderRefusal };

export function parseAuthorization({ issuer, client }: ProviderTenant, query: string): ParsedAuthorization {
  let answer: { readonly redirectUri: string; readonly state: string | undefined } | undefined;
  try {
    const parameters = parseParameters(query);
    if (getParameter(parameters, 'client_id') !== client.clientId)
      throw new ProviderRefusal('invalid_request', 'client_id is not that of the app');
    const redirectUri = getParameter(parameters, 'redirect_uri');
    if (!client.redirectUris.includes(redirectUri))
      throw new ProviderRefusal('invalid_request', 'redirect_uri is none of the app');
    answer = { redirectUri, state: parameters.get('state') };
    return { kind: 'accepted', request: { ...answer, ...parseRest(parameters) } };
  } catch (error) {
    if (!(error instanceof ProviderRefusal)) throw error;
    if (!answer) return { kind: 'shown', refusal: error };
    return { kind: 'refused', location: refusalLocation(issuer, answer, error) };
  }
}

function parseRest(parameters: ReadonlyMap<string, string>): Omit<AuthorizationRequest, 'redirectUri' | 'state'> {
  for (const name of ['request', 'request_uri', 'registration'] as const)
    if (parameters.has(name)) throw new ProviderRefusal(`${name}_not_supported`, `${name} is not supported`);
  if (getParameter(parameters, 'response_type') !== 'code')
    throw new ProviderRefusal('unsupported_response_type', 'response_type has to be code');
  if ((parameters.get('response_mode') ?? 'query') !== 'query')
    throw new ProviderRefusal('invalid_request', 'response_mode has to be query');
  const asked = new Set(getParameter(parameters, 'scope').split(' '));
  if (!asked.has('openid')) throw new ProviderRefusal('invalid_scope', 'scope has to name openid');
  // The default, `plain`, protects nobody who can read the request (RFC 7636, 4.2; RFC 9700, 2.1.1).
  if (parameters.get('code_challenge_method') !== 'S256')
    throw new ProviderRefusal('invalid_request', 'code_challenge_method has to be S256');
  const codeChallenge = getParameter(parameters, 'code_challenge');
  if (!/^[A-Za-z0-9_-]{43}$/.test(codeChallenge))
    throw new ProviderRefusal('invalid_request', 'code_challenge is no SHA-256 in base64url');
  const nonce = parameters.get('nonce');
  if (nonce !== undefined && (nonce.length > 512 || nonce.includes('\0')))
    throw new ProviderRefusal('invalid_request', 'nonce is too long');
  const maxAge = parameters.get('max_age');
  const sentAt = parameters.get(sentAtName) ?? '';
  if (maxAge !== undefined && !/^\d{1,9}$/.test(maxAge))
    throw new ProviderRefusal('invalid_request', 'max_age is no number of seconds');
  return {
    codeChallenge,
    nonce,
    // What nobody here knows is left out (OpenID Connect Core 3.1.2.1).
    scope: scopes.filter((scope): scope is Scope => asked.has(scope)),
    ...parsePrompt(parameters.get('prompt')),
    sentAtMs: /^\d{1,15}$/.test(sentAt) ? Number(sentAt) : undefined,
    maxAgeSeconds: maxAge === undefined ? undefined : Number(maxAge),
  };
}

/**
 * A parameter of our own, on the way back from the sign-in page. Whoever forges it is not asked again, as is whoever leaves `prompt` out: a request is the browser's,
 * and an app that must know when somebody signed in looks at `auth_time` (OpenID Connect Core 3.1.2.1).
 */
export const sentAtName = 'freehold_sent_at';

/** OpenID Connect Core 3.1.2.1. The sign-in page is also where one chooses who one is; nobody is asked for consent. */
function parsePrompt(prompt: string | undefined): Pick<AuthorizationRequest, 'isSilent' | 'isAnew'> {
  if (prompt === undefined) return { isSilent: false, isAnew: false };
  if (prompt === 'none') return { isSilent: true, isAnew: false };
  if (prompt === 'login' || prompt === 'select_account') return { isSilent: false, isAnew: true };
  if (prompt === 'consent') throw new ProviderRefusal('consent_required', 'prompt=consent is not supported');
  throw new ProviderRefusal('invalid_request', 'prompt is not supported');
}

export function refusalLocation(
  issuer: string,
  answer: Pick<AuthorizationRequest, 'redirectUri' | 'state'>,
  { code, message }: ProviderRefusal,
): string {
  return locationOf(issuer, answer, { error: code, error_description: message });
}

/** With `iss`, by which a client of several providers knows whose answer it is (RFC 9207). */
export function locationOf(
  issuer: string,
  { redirectUri, state }: Pick<AuthorizationRequest, 'redirectUri' | 'state'>,
  parameters: Readonly<Record<string, string>>,
): string {
  const url = new URL(redirectUri);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.append(name, value);
  if (state !== undefined) url.searchParams.append('state', state);
  url.searchParams.append('iss', issuer);
  return url.href;
}
