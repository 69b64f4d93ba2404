/** RFC 8176: the provider says itself that it was more than one. A single kind (`otp`, `hwk`) may have been the only one. */
const methods = new Set(['mfa']);
/** OpenID EAP, PAPE, REFEDS, Microsoft. */
const contexts = new Set([
  'phr',
  'phrh',
  'http://schemas.openid.net/pape/policies/2007/06/multi-factor',
  'https://refeds.org/profile/mfa',
  'http://schemas.microsoft.com/claims/multipleauthn',
  'urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract',
  'urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken',
]);

/** Whether what a provider says about the way of signing in is evidence of a second factor (ASVS v5.0.0-6.8.4). */
export function isFactorEvidence({ acr, amr = [] }: { acr?: unknown; amr?: readonly unknown[] }): boolean {
  return contexts.has(String(acr)) || amr.some((method) => methods.has(String(method)));
}
