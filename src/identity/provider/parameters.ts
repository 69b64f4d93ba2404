import { ProviderRefusal } from './types.ts';

/** An ID token that comes back as a hint is the longest. */
const maxLength = 4_000;

/** What a query or form says, each name once (RFC 6749, 3.1: parameters must not come twice). Empty ones count as absent, as there. */
export function parseParameters(text: string | URLSearchParams): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const seen = new Set<string>();
  for (const [name, value] of typeof text === 'string' ? new URLSearchParams(text) : text) {
    if (seen.has(name)) throw new ProviderRefusal('invalid_request', `${printable(name)} is there twice`);
    if (value.length > maxLength) throw new ProviderRefusal('invalid_request', `${printable(name)} is too long`);
    seen.add(name);
    if (value !== '') found.set(name, value);
  }
  return found;
}

export function getParameter(parameters: ReadonlyMap<string, string>, name: string): string {
  const value = parameters.get(name);
  if (value === undefined) throw new ProviderRefusal('invalid_request', `${name} is missing`);
  return value;
}

/** `error_description` takes these characters only (RFC 6749, 4.1.2.1). */
function printable(name: string): string {
  return name.slice(0, 40).replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?');
}
