/** Namespaces that have a meaning here. The prefixes are ours; what a document calls them does not matter. */
export const namespaces = {
  samlp: 'urn:oasis:names:tc:SAML:2.0:protocol',
  saml: 'urn:oasis:names:tc:SAML:2.0:assertion',
  md: 'urn:oasis:names:tc:SAML:2.0:metadata',
  ds: 'http://www.w3.org/2000/09/xmldsig#',
  xenc: 'http://www.w3.org/2001/04/xmlenc#',
  xenc11: 'http://www.w3.org/2009/xmlenc11#',
  ec: 'http://www.w3.org/2001/10/xml-exc-c14n#',
  xsi: 'http://www.w3.org/2001/XMLSchema-instance',
  xml: 'http://www.w3.org/XML/1998/namespace',
} as const;

const prefixes = new Map<string, string>(Object.entries(namespaces).map(([prefix, uri]) => [uri, prefix]));

/** `saml:Assertion` for a name of a known namespace, `{uri}Assertion` for any other, the bare name for none. */
export function nameOf(uri: string, local: string): string {
  if (uri === '') return local;
  const prefix = prefixes.get(uri);
  return prefix ? `${prefix}:${local}` : `{${uri}}${local}`;
}

export const success = 'urn:oasis:names:tc:SAML:2.0:status:Success';
export const partialLogout = 'urn:oasis:names:tc:SAML:2.0:status:PartialLogout';
export const bearer = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';
export const unspecifiedFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified';
export const entityFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:entity';
export const redirectBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
export const postBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST';

/** The formats of names that a person can be known by (SAML core 8.3). */
export const nameIdFormats: ReadonlySet<string> = new Set([
  unspecifiedFormat,
  'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  'urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName',
  'urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName',
  'urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos',
  'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
]);
