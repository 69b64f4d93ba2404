import * as at from './places.ts';
import { type AsvsRow, met, notApplicable } from './types.ts';

const forgedTokens = 'an ID token that is not what it has to be lets nobody in';
const forgedMetadata = 'metadata of another issuer, or with algorithms that are not taken, are refused';
const catalogue = 'every document of the catalogue is refused, for its own reason';

/** ID tokens and SAML assertions of identity providers. Our own cookies, links and API tokens are random, and mean nothing unless the tenant's database knows them. */
export const tokens: readonly AsvsRow[] = [
  met(
    'V9.1.1',
    'ID tokens by their signature, although they come over TLS; of SAML only bytes under a verified signature are read at all.',
    [at.oidcForgeries, forgedTokens],
    [at.samlCatalogue, catalogue],
  ),
  met(
    'V9.1.2',
    'A closed list of asymmetric algorithms, and of those what the provider announces: no HMAC, no none; in SAML no SHA-1 and no DSA either.',
    [at.oidcForgeries, forgedTokens, forgedMetadata],
    [at.samlCatalogue, catalogue],
  ),
  met(
    'V9.1.3',
    'Keys come from the metadata of the issuer that an owner named, or from the certificates of the connection; what a token or message brings along is not looked at.',
    [at.oidcForgeries, forgedTokens],
    [at.samlCatalogue, catalogue],
  ),
  met(
    'V9.2.1',
    'Beginning and end, with a minute for clocks that differ; a token without an end is refused.',
    [at.oidcForgeries, forgedTokens],
    ['src/identity/saml/saml.test.ts', 'to the millisecond: the edges of the clock skew'],
    [at.samlCatalogue, catalogue],
  ),
  met(
    'V9.2.2',
    'Only the ID token of a code that this browser began, with its nonce, and only an assertion that answers our request, say who somebody is; access tokens are shown to their provider alone.',
    [at.oidcForgeries, forgedTokens, 'another browser has another nonce and another verifier'],
    [at.samlCatalogue, catalogue],
  ),
  met(
    'V9.2.3',
    'The audience is this client, or this tenant, and nobody else without being said to be for us.',
    [at.oidcForgeries, forgedTokens],
    [at.samlCatalogue, catalogue],
  ),
  notApplicable('V9.2.4', 'Freehold issues no self-contained tokens.'),
];
