import * as at from './places.ts';
import { type AsvsRow, met, metBy, notApplicable, notMet, partly } from './types.ts';

const noResourceServer =
  'There is no OAuth resource server but the userinfo of a tenant as the provider of its app (V10.4): API tokens are our own, opaque, for one tenant, and looked up on every request (decision 0026).';
/** A tenant is the provider of its own app, where that runs as a process (decision 0041). */
const noRefreshTokens = 'There are no refresh tokens.';
const noConsent =
  'Nobody is asked: the one client of an account is the account’s own app, which the operator installed and which shares its origin.';

const genuine =
  'a genuine token is taken; the code is redeemed with the verifier of this browser, and nothing of it is in an address';
const forgedTokens = 'an ID token that is not what it has to be lets nobody in';
const forgedAnswers = 'an answer of another sign-in, another browser or another provider redeems no code';
const goodOnce = 'is good once, in the browser that began it, at the tenant that began it (98, 99, 100, 104, 107)';

const numbered = (section: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${section}.${index + 1}`);

export const oauth: readonly AsvsRow[] = [
  metBy(
    'design',
    'V10.1.1',
    'The gateway redeems the code, asks the provider once who it was, and forgets the tokens; the browser gets our own session and nothing of them.',
    [at.oidcForgeries, genuine],
  ),
  met(
    'V10.1.2',
    'State, nonce and verifier follow from a random value in a cookie of the browser that began; the sign-in is used up by one statement, in that browser and at that tenant.',
    [at.oidc, goodOnce, 'of a hundred who hand in one answer at once, lets one in (101)'],
    [at.oidcForgeries, forgedAnswers, 'another browser has another nonce and another verifier'],
  ),
  met('V10.2.1', 'PKCE (S256) and state, both.', [at.oidcForgeries, genuine, forgedAnswers], [at.oidc, goodOnce]),
  met(
    'V10.2.2',
    'A sign-in belongs to one connection, whose issuer has to be in the metadata, in the token, and in the answer where one is promised (RFC 9207).',
    [at.oidcForgeries, forgedAnswers, forgedTokens],
  ),
  met('V10.2.3', 'openid, email and profile.', [at.oidcForgeries, genuine]),
  ...numbered('V10.3', 5).map((id) => notApplicable(id, noResourceServer)),
  met(
    'V10.4.1',
    'Addresses are those of the manifest at the host of the tenant, compared character by character; what is none of them is shown on a page.',
    [at.provider, 'answers to addresses of the app alone'],
    [at.providerFlow, 'sends nobody to an address that is not the app’s, and nobody without PKCE'],
  ),
  met(
    'V10.4.2',
    'One statement uses a code up; who presents it again ends the access token that it gave.',
    [
      at.provider,
      'takes a code once; the second use ends what the first gave',
      'killed in the middle: a code has given nothing, or is used up; two keys are never there',
    ],
    [at.providerFlow, 'takes a code once, and ends what it gave when it comes again'],
  ),
  met('V10.4.3', 'A code is good for one minute.', [
    at.provider,
    'takes no code of another tenant, redirect or verifier, and none that is over',
  ]),
  met('V10.4.4', 'Authorization code, and nothing else.', [
    at.provider,
    'goes without no protection that the request leaves out',
    'believes only the app of this tenant',
  ]),
  notApplicable('V10.4.5', noRefreshTokens),
  met(
    'V10.4.6',
    'S256 is required; the verifier is compared with the code’s challenge.',
    [
      at.provider,
      'goes without no protection that the request leaves out',
      'takes no code of another tenant, redirect or verifier, and none that is over',
    ],
    [at.providerFlow, 'takes no code of another tenant, without its verifier, secret or address'],
  ),
  notApplicable('V10.4.7', 'No client registers itself: there is one, by the manifest of the app.'),
  notApplicable('V10.4.8', noRefreshTokens),
  met('V10.4.9', 'Access tokens end with the session, which its user ends on the account page, from any device.', [
    at.providerFlow,
    'ends at the app with the session at Freehold, and with it its user',
  ]),
  met('V10.4.10', 'By its secret, which is made once for each tenant.', [
    at.provider,
    'believes only the app of this tenant',
  ]),
  met('V10.4.11', 'openid, profile and email; whatever else is asked for is left out.', [
    at.provider,
    'says who signed in, under a key of this tenant alone',
  ]),
  met('V10.4.12', 'query, and nothing else.', [at.provider, 'goes without no protection that the request leaves out']),
  notMet('V10.4.13', 'Pushed authorization requests are not offered.'),
  partly(
    'V10.4.14',
    'Access tokens are bearer tokens, for userinfo alone, for ten minutes, and of no use at another tenant; they are not bound to their sender.',
    [at.providerFlow, 'says who is signed in, to each app about its own people alone'],
  ),
  notApplicable('V10.4.15', 'There are no authorization_details.'),
  notMet(
    'V10.4.16',
    'The client is confidential and shows a secret; keys and certificates of clients are not offered.',
  ),
  met('V10.5.1', 'The nonce of this very sign-in has to be in the token.', [
    at.oidcForgeries,
    forgedTokens,
    'another browser has another nonce and another verifier',
  ]),
  met(
    'V10.5.2',
    'By connection and subject; the address only links somebody once, where its domain is proven and the provider says that it is verified.',
    [
      at.oidc,
      'makes a user of somebody from a proven domain, and knows them again by subject when their address changes',
      'links a user who is there already, once, and refuses whoever is given that address later',
      'takes an address neither unverified, nor unsaid, nor of a domain that is not proven (121)',
    ],
  ),
  met('V10.5.3', 'Metadata of another issuer than the one that was asked for are refused.', [
    at.oidcForgeries,
    'metadata of another issuer, or with algorithms that are not taken, are refused',
  ]),
  met('V10.5.4', 'The audience is our client ID, and with several the token has to be made for us.', [
    at.oidcForgeries,
    forgedTokens,
  ]),
  notApplicable('V10.5.5', 'Back-channel logout is not offered.'),
  met('V10.6.1', 'code, and nothing else.', [at.provider, 'goes without no protection that the request leaves out']),
  met(
    'V10.6.2',
    'Nothing ends without an ID token of this tenant for this app; a browser that comes without one goes to its account page.',
    [at.provider, 'signs out whom the ID token is about, and nobody without one'],
    [at.providerFlow, 'sends nobody to an address that is not the app’s, and nobody without PKCE'],
  ),
  partly('V10.7.1', noConsent, [at.provider, 'believes only the app of this tenant']),
  notApplicable('V10.7.2', noConsent),
  notApplicable('V10.7.3', noConsent),
];
