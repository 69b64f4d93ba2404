import type { KeyObject } from 'node:crypto';
import { decodeBase64, decodeRedirect } from './encodings.ts';
import { refuse } from './refused.ts';
import { isSignedByOne, signatureSchemes } from './signature-algorithms.ts';
import { messageLimits } from './xml.ts';

const longestQuery = 64 * 1024;
const mostSignatureBytes = 2_048;

/**
 * A message in a signed query string (SAML bindings 3.4.4.1). The signature covers the parameters as they were encoded by the sender, so
 * the raw query is needed; each may be there once. Without Signature it is refused: node-saml took such a message for a signed one.
 * Throws Refused.
 */
export function readSignedQuery(
  rawQuery: string,
  field: 'SAMLRequest' | 'SAMLResponse',
  keys: () => readonly KeyObject[],
): { text: string; relayState?: string } {
  if (rawQuery.length > longestQuery) refuse('too_large');
  const raw = new Map<string, string>();
  for (const pair of rawQuery.split('&')) {
    const at = pair.indexOf('=');
    const name = at < 0 ? pair : pair.slice(0, at);
    if (raw.has(name)) refuse('structure');
    raw.set(name, at < 0 ? '' : pair.slice(at + 1));
  }
  const other = field === 'SAMLRequest' ? 'SAMLResponse' : 'SAMLRequest';
  if (!raw.has(field) || raw.has(other)) refuse('not_saml');
  if (raw.has('SAMLEncoding')) refuse('not_saml');
  if (!raw.has('Signature') || !raw.has('SigAlg')) refuse('unsigned');
  const algorithm = decode(raw.get('SigAlg')!);
  if (!signatureSchemes.has(algorithm)) refuse('signature_algorithm');
  const signature = decodeBase64(decode(raw.get('Signature')!), mostSignatureBytes);
  const signed = [field, 'RelayState', 'SigAlg']
    .filter((name) => raw.has(name))
    .map((name) => `${name}=${raw.get(name)}`)
    .join('&');
  if (!isSignedByOne(keys(), algorithm, Buffer.from(signed, 'utf8'), signature)) refuse('signature_invalid');
  const relayState = raw.get('RelayState');
  return {
    text: decodeRedirect(decode(raw.get(field)!), messageLimits),
    relayState: relayState === undefined ? undefined : decode(relayState),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    refuse('not_base64');
  }
}
