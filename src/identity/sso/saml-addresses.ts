import type { Origin } from './flow.ts';

/**
 * How a tenant is called at its providers: one service for all its connections, so that the names are known before a provider is. The address for answers is
 * outside of `/-/api`: it is a page that the gateway serves (src/gateway/saml-answer.ts), the only address that takes a form of another site.
 */
export function samlAddressesOf(origin: Origin) {
  return { entityId: `${origin}/-/api/sign-on/saml/metadata`, acsUrl: `${origin}/-/sign-on/saml` };
}

/**
 * Where a provider's log-out messages arrive, one address per connection: which one a message is for is said by the address, to which its signature binds it
 * (Destination), and never by the message. The gateway serves it (src/gateway/saml-log-out.ts).
 */
export const sloUrlOf = (origin: Origin, connectionId: string) => `${origin}/-/sign-on/saml/log-out/${connectionId}`;
