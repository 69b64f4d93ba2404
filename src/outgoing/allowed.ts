import { isIP } from 'node:net';
import { outgoingErrors } from './errors.ts';
import { type AddressRange, findSpecial, parseRange } from './special-addresses.ts';

export const defaultPort = 443;

/** What the operator opened besides the public internet. */
export interface Allowed {
  /** Whether the name is one of the operator's, on this port. */
  hasName(name: string, port: number): boolean;
  /** Whether the address may be spoken to because it is in a range of the operator's, on this port. */
  hasAddress(address: string, port: number): boolean;
  /** Whether anything was opened on this port. */
  hasPort(port: number): boolean;
}

const namePattern = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** One or more labels of letters, digits and hyphens, in lower case. */
export function isHostName(text: string): boolean {
  return namePattern.test(text) && isIP(text) === 0;
}

/**
 * Entries are `NAME`, `NAME:PORT`, `ADDRESS`, `ADDRESS:PORT` (`[fd00::1]:8443`), `ADDRESS/BITS`; without a port 443 is meant. A name may lead anywhere but to
 * addresses that are never spoken to (link-local, multicast, clouds' metadata). Throws FH_OUTGOING_ALLOW_INVALID, which quotes the entry.
 */
export function parseAllowed(entries: readonly string[]): Allowed {
  const names = new Set<string>();
  const addresses: { readonly range: AddressRange; readonly port: number }[] = [];
  for (const entry of entries) {
    const { host, port } = splitPort(entry);
    const range = parseRange(host);
    if (range) {
      const [address, bits] = host.split('/') as [string, string?];
      if (findSpecial(address)?.isNever) throw invalid(entry, 'is among the addresses that are never spoken to');
      if (bits !== undefined && Number(bits) < (range.family === 4 ? 8 : 16)) throw invalid(entry, 'is too wide');
      addresses.push({ range, port });
    } else if (isHostName(host.toLowerCase()) && !/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/i.test(host)) {
      names.add(`${host.toLowerCase()}:${port}`);
    } else throw invalid(entry, 'is no name, address or range');
  }
  return {
    hasName: (name, port) => names.has(`${name}:${port}`),
    hasAddress: (address, port) => addresses.some((each) => each.port === port && each.range.contains(address)),
    hasPort: (port) =>
      addresses.some((each) => each.port === port) || [...names].some((each) => each.endsWith(`:${port}`)),
  };
}

function splitPort(entry: string): { host: string; port: number } {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(entry);
  // An IPv6 address or range without brackets has no port.
  if (!found) return { host: entry, port: defaultPort };
  const port = found[3] === undefined ? defaultPort : Number(found[3]);
  if (port < 1 || port > 65_535) throw invalid(entry, 'has no such port');
  return { host: found[1] ?? found[2]!, port };
}

function invalid(entry: string, why: string) {
  return outgoingErrors.FH_OUTGOING_ALLOW_INVALID({ detail: `"${entry}" ${why}` });
}
