/** For tests: log-out messages as a provider sends them, altered as a case wants. */
import { deflateRawSync } from 'node:zlib';
import { systemClock } from '#src/kernel/index.ts';
import { signQuery } from '#src/keys/index.ts';
import { algorithms, base64, idpEntityId, type Signer, signXml } from '../saml/idp.fixture.ts';
import type { LogoutMessage } from '../saml/index.ts';
import { nameIdFormats } from './saml-setup.ts';

export interface LogOutFacts {
  readonly destination: string;
  readonly nameId: string;
  readonly sessionIndexes?: readonly string[];
  readonly nameIdFormat?: string;
}

let serial = 0;
const from = (ms: number) => new Date(systemClock.now() + ms).toISOString();
const opening = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"';

export function logOutRequest({ destination, nameId, sessionIndexes = ['_s0001'], nameIdFormat }: LogOutFacts): string {
  return (
    `<samlp:LogoutRequest ${opening} ID="_out${++serial}" Version="2.0" IssueInstant="${from(-1_000)}" Destination="${destination}" NotOnOrAfter="${from(300_000)}">` +
    `<saml:Issuer>${idpEntityId}</saml:Issuer>` +
    `<saml:NameID Format="${nameIdFormat ?? nameIdFormats.persistent}">${nameId}</saml:NameID>` +
    `${sessionIndexes.map((index) => `<samlp:SessionIndex>${index}</samlp:SessionIndex>`).join('')}</samlp:LogoutRequest>`
  );
}

export function logOutResponse(destination: string, inResponseTo: string, status = 'Success'): string {
  return (
    `<samlp:LogoutResponse ${opening} ID="_out${++serial}" Version="2.0" IssueInstant="${from(-1_000)}" Destination="${destination}" InResponseTo="${inResponseTo}">` +
    `<saml:Issuer>${idpEntityId}</saml:Issuer>` +
    `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:${status}"/></samlp:Status></samlp:LogoutResponse>`
  );
}

type Field = 'SAMLRequest' | 'SAMLResponse';
const fieldOf = (xml: string): Field => (xml.includes('<samlp:LogoutRequest') ? 'SAMLRequest' : 'SAMLResponse');

/** A query string signed as bindings 3.4.4.1 says. */
export function inRedirect(
  xml: string,
  signer: Signer,
  { relayState, sigAlg = algorithms.rsaSha256 }: { relayState?: string; sigAlg?: string } = {},
): string {
  const query = [
    `${fieldOf(xml)}=${encodeURIComponent(deflateRawSync(xml).toString('base64'))}`,
    ...(relayState === undefined ? [] : [`RelayState=${encodeURIComponent(relayState)}`]),
    `SigAlg=${encodeURIComponent(sigAlg)}`,
  ].join('&');
  const key = signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return `${query}&Signature=${encodeURIComponent(signQuery(key, query))}`;
}

export const redirected = (rawQuery: string): LogoutMessage => ({ binding: 'redirect', rawQuery });

export function posted(xml: string, signer: Signer | undefined, relayState?: string): LogoutMessage {
  const element = fieldOf(xml) === 'SAMLRequest' ? 'LogoutRequest' : 'LogoutResponse';
  const message = base64(signer ? signXml(xml, { signer, element }) : xml);
  return { binding: 'post', message, ...(relayState !== undefined && { relayState }) };
}
