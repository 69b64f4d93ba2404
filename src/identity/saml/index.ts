/**
 * saml: judges what identity providers send (responses, logout messages, metadata) and writes what we send to them.
 * Invariants: only bytes under a verified signature are read; what is not on a list is refused; the certificates come from the connection,
 * never from the message; a message is judged in a worker thread with limits on bytes, structure, memory and time. Knows no tenants, no
 * database and no requests. Called by: the single sign-on flow (src/identity/sso).
 */
export { type CertificateFacts, describeCertificate, isCertificateInForce } from './certificates.ts';
export { createSamlEngine, type SamlEngineDeps } from './engine.ts';
export { serviceProviderMetadata } from './outgoing.ts';
export { type RefusalCode, refusals } from './refusals.ts';
export { logOutMemoryMs } from './times.ts';
export type {
  Assertion,
  AuthnRequestInput,
  ExpectedLogout,
  ExpectedResponse,
  IdpMetadata,
  LogoutMessage,
  LogoutRequest,
  LogoutRequestInput,
  LogoutRequestVerdict,
  LogoutResponse,
  LogoutResponseInput,
  LogoutResponseVerdict,
  MetadataExpectations,
  MetadataVerdict,
  OutgoingMessage,
  Refusal,
  ResponseVerdict,
  SamlEngine,
  ServiceProvider,
  SigningKey,
  Trust,
} from './types.ts';
