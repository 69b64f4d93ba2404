import * as at from './places.ts';
import { type AsvsRow, met, metBy, notApplicable } from './types.ts';

const noResourceServer =
  'There is no OAuth resource server: API tokens are our own, opaque, for one tenant, and looked up on every request (decision 0026).';
const noAuthorizationServer =
  'There is no authorization server and no OpenID provider: Freehold issues no tokens for others.';

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
  ...numbered('V10.4', 16).map((id) => notApplicable(id, noAuthorizationServer)),
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
  ...[...numbered('V10.6', 2), ...numbered('V10.7', 3)].map((id) => notApplicable(id, noAuthorizationServer)),
];
