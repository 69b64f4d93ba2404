import type { Origin } from './flow.ts';

/**
 * How a tenant is called at its providers: one service for all its connections, so that the names are known before a provider is. The address for answers is
 * outside of `/-/api`: it is a page that the gateway serves (src/gateway/saml-answer.ts), the only address that takes a form of another site.
 */
export function samlAddressesOf(origin: Origin) {
  return { entityId: `${origin}/-/api/sign-on/saml/metadata`, acsUrl: `${origin}/-/sign-on/saml` };
}
