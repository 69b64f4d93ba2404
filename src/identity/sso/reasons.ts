import { refusals } from '../saml/index.ts';

/**
 * Why a sign-in at a provider let nobody in: a closed list, for the security log and for the owner who tests a connection. Nothing in the
 * sentences comes from the provider. Whoever signs in gets none of it.
 */
export const signOnReasons = {
  ...refusals,
  provider_unreachable: 'The identity provider could not be reached, or its certificate is not trusted.',
  provider_refused:
    'The identity provider ended the sign-in without letting the person in. Look whether the person is assigned to this app there.',
  client_refused:
    'The identity provider did not take the client ID and secret. Compare both, and whether the secret has expired.',
  code_refused:
    'The identity provider did not take the code that it had given out itself. Try again, and compare the redirect address.',
  answer_invalid: 'The answer of the identity provider is not one of OpenID Connect.',
  token_invalid:
    'The ID token is not valid: its signature, issuer, audience, nonce or time is not what it has to be. Compare issuer and client ID, and the clocks.',
  secret_missing: 'The secret of the connection is not known here, as in a copy. Enter it again.',
  connection_off: 'The connection is turned off.',
  metadata_shrunk:
    'The metadata name no sign-out address any more, so they may not be whole. If that is meant, give them again by hand.',
  replayed: 'The message was used before: each is good once.',
  no_email:
    'The identity provider told no e-mail address. Add it to what it tells this app (OpenID Connect: scope and claim "email").',
  email_unverified:
    'The identity provider does not say that the e-mail address is verified. If all its addresses are those of your people, turn on "Take addresses as verified".',
  domain_unproven: 'The domain of the e-mail address is not among the proven domains of this connection.',
  no_user: 'There is no user with this e-mail address, and the connection does not make new users.',
  user_disabled: 'The user is disabled here.',
  other_person:
    'The user with this e-mail address is another person at the identity provider: the address was given to somebody new. An owner can remove the link.',
} as const;

export type SignOnReason = keyof typeof signOnReasons;

export interface SignOnRefused {
  readonly ok: false;
  readonly reason: SignOnReason;
}

export const refusedFor = (reason: SignOnReason): SignOnRefused => ({ ok: false, reason });
