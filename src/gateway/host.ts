import type { FreeholdError } from '#src/kernel/index.ts';
import { gatewayErrors } from './errors.ts';

/** Which door a request asks for. Decided in docs/decisions/0007. */
export type RequestedHost =
  /** `label.domain`, lower case. */
  | { readonly kind: 'tenant'; readonly host: string }
  /** The base domain itself. */
  | { readonly kind: 'base'; readonly host: string }
  /** Well formed, and not ours. */
  | { readonly kind: 'foreign'; readonly host: string };

/** What of a request says where it wants to go; the raw headers, because the parsed ones have lost duplicates. */
export interface AddressedRequest {
  readonly httpVersionMajor: number;
  readonly rawHeaders: readonly string[];
  readonly url?: string | undefined;
}

export interface HostRules {
  /** Lower case. */
  readonly domain: string;
  /** Port that users type. 443 may be left out. Undefined: any (the listener that only redirects). */
  readonly publicPort: number | undefined;
}

/** The one authority of a request, as it was sent; throws FH_HOST_INVALID when there is none, or more than one. */
export function readAuthority(request: AddressedRequest): string {
  let host: string | undefined;
  let authority: string | undefined;
  const { rawHeaders } = request;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 4 && name.toLowerCase() === 'host') {
      if (host !== undefined) throw invalid('there are two Host headers');
      host = rawHeaders[index + 1];
    } else if (name === ':authority') {
      if (authority !== undefined) throw invalid('there are two authorities');
      authority = rawHeaders[index + 1];
    }
  }
  // RFC 9113, 8.3.1: both may be there, but they must say the same.
  if (authority !== undefined && host !== undefined && authority !== host) throw invalid('Host and :authority differ');
  const found = authority ?? host;
  if (found === undefined) throw invalid('there is no Host header');
  // RFC 9112, 3.2.2: an absolute target would override Host. No client of an origin server needs it.
  if (!request.url?.startsWith('/')) throw invalid('the target is not a path');
  return found;
}

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const hostAndPort = new RegExp(`^(${label}(?:\\.${label})*)(?::([1-9][0-9]{0,4}))?$`);

/**
 * Strict: letters, digits, hyphens and dots, at most 253, and our port. Upper case is folded (hosts are case-insensitive,
 * RFC 9110, 4.2.3). A trailing dot, an underscore, user information, an IPv6 literal or any other character is refused.
 */
export function parseAuthority(text: string, { domain, publicPort }: HostRules): RequestedHost {
  if (text.length > 260) throw invalid('it is too long');
  const match = hostAndPort.exec(text.toLowerCase());
  // toLowerCase folds a few letters outside ASCII into it (K, the Kelvin sign), so the original must be ASCII as well.
  if (!match || /[^\x21-\x7e]/.test(text)) throw invalid('it is not a host name of ours');
  const host = match[1]!;
  if (host.length > 253) throw invalid('it is too long');
  if (publicPort !== undefined && Number(match[2] ?? 443) !== publicPort) throw invalid('the port is not ours');
  if (host === domain) return { kind: 'base', host };
  const under = host.length - domain.length - 1;
  if (under > 0 && host.endsWith(domain) && host[under] === '.' && !host.slice(0, under).includes('.'))
    return { kind: 'tenant', host };
  return { kind: 'foreign', host };
}

function invalid(detail: string): FreeholdError {
  return gatewayErrors.FH_HOST_INVALID({ detail });
}
