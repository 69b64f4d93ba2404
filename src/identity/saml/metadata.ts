import { isStrongKey, readCertificate, usableKeys } from './certificates.ts';
import { namespaces, postBinding, redirectBinding } from './names.ts';
import { refuse } from './refused.ts';
import { readSigned } from './signature.ts';
import { checkSignatureStructure } from './structure.ts';
import { parseInstant } from './times.ts';
import type { IdpMetadata, MetadataExpectations } from './types.ts';
import { childrenOf, decodeText, findChild, metadataLimits, readXml, type XmlElement } from './xml.ts';

const longestUrl = 2_048;
const mostCertificates = 10;

/** Reads an identity provider's metadata (SAML metadata 2.0): exactly one entity with exactly one such role. Throws Refused. */
export function readIdpMetadata(xml: string, expected: MetadataExpectations, nowMs: number): IdpMetadata {
  const text = decodeText(Buffer.from(xml.replace(/^\uFEFF/, ''), 'utf8'), metadataLimits);
  const entity = openEntity(text, expected, nowMs);
  const entityId = entity.attributes.get('entityID') ?? '';
  if (!/^[\x21-\x7E]{1,1024}$/.test(entityId)) refuse('metadata_entity_id');
  if (expected.entityId !== undefined && entityId !== expected.entityId) refuse('metadata_entity_id_changed');
  const roles = childrenOf(entity, 'md:IDPSSODescriptor').filter((role) =>
    (role.attributes.get('protocolSupportEnumeration') ?? '').split(/\s+/).includes(namespaces.samlp),
  );
  if (roles.length !== 1) refuse('metadata');
  const role = roles[0]!;
  const ends = [entity, role].flatMap((element) => element.attributes.get('validUntil') ?? []).map(parseInstant);
  if (ends.some((end) => end <= nowMs)) refuse('metadata_expired');
  const wants = role.attributes.get('WantAuthnRequestsSigned');
  return {
    entityId,
    ssoUrl: readSsoUrl(role),
    slo: readSlo(role),
    certificates: readCertificates(role),
    wantsSignedRequests: wants === 'true' || wants === '1',
    validUntil: ends.length > 0 ? new Date(Math.min(...ends)) : undefined,
  };
}

function openEntity(text: string, { certificates }: MetadataExpectations, nowMs: number): XmlElement {
  const entity = readXml(text, metadataLimits);
  if (entity.name !== 'md:EntityDescriptor') refuse('metadata');
  if (certificates === undefined) return entity;
  const signature = findChild(entity, 'ds:Signature') ?? refuse('unsigned');
  checkSignatureStructure(entity, signature);
  return readSigned(text, { element: entity, path: [] }, usableKeys(certificates, nowMs), metadataLimits)!;
}

function readSsoUrl(role: XmlElement): string {
  const services = childrenOf(role, 'md:SingleSignOnService');
  const service = services.find((found) => found.attributes.get('Binding') === redirectBinding);
  return readUrl((service ?? refuse('metadata_sso')).attributes.get('Location'));
}

function readSlo(role: XmlElement): IdpMetadata['slo'] {
  const services = childrenOf(role, 'md:SingleLogoutService');
  for (const [binding, name] of [
    ['redirect', redirectBinding],
    ['post', postBinding],
  ] as const) {
    const service = services.find((found) => found.attributes.get('Binding') === name);
    if (!service) continue;
    const url = readUrl(service.attributes.get('Location'));
    return { url, responseUrl: readUrl(service.attributes.get('ResponseLocation') ?? url), binding };
  }
  return undefined;
}

/** https, no user and no fragment; the address is kept as it was written. */
function readUrl(text: string | undefined): string {
  const location = text?.trim() ?? '';
  if (location.length > longestUrl || !/^https:\/\/[\x21-\x7E]+$/.test(location)) refuse('metadata_url');
  if (/["<>\\^`{|}#]/.test(location)) refuse('metadata_url');
  const url = URL.parse(location);
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') refuse('metadata_url');
  return location;
}

/** KeyDescriptor for signing, or for both uses. One that is too weak to be used is refused here, where somebody can do something about it. */
function readCertificates(role: XmlElement): readonly string[] {
  const descriptors = childrenOf(role, 'md:KeyDescriptor').filter(
    (descriptor) => (descriptor.attributes.get('use') ?? 'signing') === 'signing',
  );
  const pems = descriptors.flatMap((descriptor) =>
    childrenOf(descriptor, 'ds:KeyInfo')
      .flatMap((info) => childrenOf(info, 'ds:X509Data'))
      .flatMap((data) => childrenOf(data, 'ds:X509Certificate'))
      .map(({ text }) => toPem(text)),
  );
  const certificates = [...new Set(pems)];
  if (certificates.length === 0 || certificates.length > mostCertificates) refuse('metadata_certificate');
  return certificates;
}

function toPem(text: string): string {
  const base64 = text.replace(/\s/g, '');
  const lines = base64.match(/.{1,64}/g) ?? [];
  const certificate = readCertificate(`-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`);
  if (!certificate || !isStrongKey(certificate.publicKey)) refuse('metadata_certificate');
  return certificate.toString();
}
