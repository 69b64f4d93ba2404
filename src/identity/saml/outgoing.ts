import { deflateRawSync } from 'node:zlib';
import { type Clock, randomBytes } from '#src/kernel/index.ts';
import { signQuery } from '#src/keys/index.ts';
import { namespaces, postBinding, redirectBinding, success } from './names.ts';
import type {
  AuthnRequestInput,
  LogoutRequestInput,
  LogoutResponseInput,
  OutgoingMessage,
  ServiceProvider,
  SigningKey,
} from './types.ts';

const rsaSha256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256';
const opening = `xmlns:samlp="${namespaces.samlp}" xmlns:saml="${namespaces.saml}"`;

/** Asks the identity provider to sign somebody in and to answer by POST to `acsUrl` (SAML profiles 4.1). */
export function createAuthnRequest(clock: Clock, input: AuthnRequestInput): OutgoingMessage {
  const id = newId();
  const policy = input.nameIdFormat ? ` Format="${xmlText(input.nameIdFormat)}"` : '';
  const contexts = (input.authnContexts ?? [])
    .map((context) => `<saml:AuthnContextClassRef>${xmlText(context)}</saml:AuthnContextClassRef>`)
    .join('');
  const xml =
    `<samlp:AuthnRequest ${opening} ${head(id, clock, input.ssoUrl)} ProtocolBinding="${postBinding}" ` +
    `AssertionConsumerServiceURL="${xmlText(input.acsUrl)}"${input.forceAuthn ? ' ForceAuthn="true"' : ''}>` +
    `<saml:Issuer>${xmlText(input.spEntityId)}</saml:Issuer>` +
    `<samlp:NameIDPolicy AllowCreate="true"${policy}/>` +
    (contexts ? `<samlp:RequestedAuthnContext Comparison="exact">${contexts}</samlp:RequestedAuthnContext>` : '') +
    '</samlp:AuthnRequest>';
  return { id, url: redirectUrl(input.ssoUrl, { field: 'SAMLRequest', xml }, input.relayState, input.signWith) };
}

/** Asks the identity provider to end the session that it told of, and all that hangs on it. Valid for five minutes. */
export function createLogoutRequest(clock: Clock, input: LogoutRequestInput): OutgoingMessage {
  const id = newId();
  const optional = [
    ['NameQualifier', input.nameQualifier],
    ['SPNameQualifier', input.spNameQualifier],
  ].flatMap(([name, value]) => (value === undefined ? [] : ` ${name}="${xmlText(value)}"`));
  const indexes = (input.sessionIndexes ?? []).map(
    (index) => `<samlp:SessionIndex>${xmlText(index)}</samlp:SessionIndex>`,
  );
  const end = new Date(clock.now() + 5 * 60_000).toISOString();
  const xml =
    `<samlp:LogoutRequest ${opening} ${head(id, clock, input.sloUrl)} NotOnOrAfter="${end}">` +
    `<saml:Issuer>${xmlText(input.spEntityId)}</saml:Issuer>` +
    `<saml:NameID Format="${xmlText(input.nameIdFormat)}"${optional.join('')}>${xmlText(input.nameId)}</saml:NameID>` +
    `${indexes.join('')}</samlp:LogoutRequest>`;
  return { id, url: redirectUrl(input.sloUrl, { field: 'SAMLRequest', xml }, input.relayState, input.signWith) };
}

/** Answers a LogoutRequest. Not successful: `urn:oasis:names:tc:SAML:2.0:status:Responder`. */
export function createLogoutResponse(clock: Clock, input: LogoutResponseInput): OutgoingMessage {
  const id = newId();
  const status = input.isSuccess ? success : 'urn:oasis:names:tc:SAML:2.0:status:Responder';
  const xml =
    `<samlp:LogoutResponse ${opening} ${head(id, clock, input.sloUrl)} InResponseTo="${xmlText(input.inResponseTo)}">` +
    `<saml:Issuer>${xmlText(input.spEntityId)}</saml:Issuer>` +
    `<samlp:Status><samlp:StatusCode Value="${status}"/></samlp:Status></samlp:LogoutResponse>`;
  return { id, url: redirectUrl(input.sloUrl, { field: 'SAMLResponse', xml }, input.relayState, input.signWith) };
}

/** Our metadata, for identity providers to read. Without validUntil: they are served by ourselves and always current. */
export function serviceProviderMetadata(provider: ServiceProvider): string {
  const keys = [
    ...provider.signingCertificates.map((pem) => keyDescriptor('signing', pem)),
    ...provider.encryptionCertificates.map((pem) => keyDescriptor('encryption', pem)),
  ];
  const slo = provider.sloUrl
    ? [redirectBinding, postBinding].map(
        (binding) => `<md:SingleLogoutService Binding="${binding}" Location="${xmlText(provider.sloUrl!)}"/>`,
      )
    : [];
  const isSigning = provider.signingCertificates.length > 0;
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<md:EntityDescriptor xmlns:md="${namespaces.md}" xmlns:ds="${namespaces.ds}" entityID="${xmlText(provider.spEntityId)}">` +
    `<md:SPSSODescriptor AuthnRequestsSigned="${isSigning}" WantAssertionsSigned="true" protocolSupportEnumeration="${namespaces.samlp}">` +
    `${keys.join('')}${slo.join('')}` +
    `<md:AssertionConsumerService Binding="${postBinding}" Location="${xmlText(provider.acsUrl)}" index="0" isDefault="true"/>` +
    '</md:SPSSODescriptor></md:EntityDescriptor>\n'
  );
}

/** What a sender may encrypt with, the best first; our side takes no others but CBC under a signed response. */
const encryptionMethods = [
  `<md:EncryptionMethod Algorithm="${namespaces.xenc11}aes256-gcm"/>`,
  `<md:EncryptionMethod Algorithm="${namespaces.xenc11}aes128-gcm"/>`,
  `<md:EncryptionMethod Algorithm="${namespaces.xenc}rsa-oaep-mgf1p"/>`,
].join('');

function keyDescriptor(use: 'signing' | 'encryption', pem: string): string {
  const base64 = pem.replace(/-----[A-Z ]+-----|\s/g, '');
  return (
    `<md:KeyDescriptor use="${use}"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>${xmlText(base64)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>` +
    `${use === 'encryption' ? encryptionMethods : ''}</md:KeyDescriptor>`
  );
}

/** `_` because an XML id must not begin with a digit (SAML core 1.3.4 asks for 128 to 160 random bits). */
const newId = () => `_${randomBytes(20).toString('hex')}`;

const head = (id: string, clock: Clock, destination: string) =>
  `ID="${id}" Version="2.0" IssueInstant="${new Date(clock.now()).toISOString()}" Destination="${xmlText(destination)}"`;

function redirectUrl(
  target: string,
  { field, xml }: { field: 'SAMLRequest' | 'SAMLResponse'; xml: string },
  relayState: string | undefined,
  key: SigningKey | undefined,
): string {
  const parts = [`${field}=${encodeURIComponent(deflateRawSync(xml).toString('base64'))}`];
  if (relayState !== undefined) parts.push(`RelayState=${encodeURIComponent(relayState)}`);
  if (key) {
    parts.push(`SigAlg=${encodeURIComponent(rsaSha256)}`);
    parts.push(`Signature=${encodeURIComponent(signQuery(key.privateKey, parts.join('&')))}`);
  }
  return `${target}${target.includes('?') ? '&' : '?'}${parts.join('&')}`;
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** For text and for attributes in double quotes; what XML cannot hold at all is left out. */
const xmlText = (text: string) =>
  text
    .replace(/[^\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '')
    .replace(/[&<>"]/g, (found) => escapes[found]!);
