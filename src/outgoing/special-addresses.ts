import { BlockList, isIP } from 'node:net';

/**
 * Ranges that are not the public internet. Source: the IANA registries of special-purpose addresses (RFC 6890 and what was added since; RFC 9637, RFC 9602), RFC 5771 and RFC 4291;
 * and two addresses that clouds answer on inside, though they look public. IPv6 is open only where addresses are given out (2000::/3); what carries an IPv4 address inside
 * (mapped, 6to4, Teredo, NAT64) is closed as a whole, whatever it carries.
 */
const special: readonly (readonly [range: string, why: string, never?: 'never'])[] = [
  ['0.0.0.0/8', 'this network', 'never'],
  ['10.0.0.0/8', 'private'],
  ['100.100.100.200/32', 'metadata of a cloud', 'never'],
  ['100.64.0.0/10', 'shared by a provider'],
  ['127.0.0.0/8', 'this machine'],
  ['168.63.129.16/32', 'metadata of a cloud', 'never'],
  ['169.254.0.0/16', 'link-local, metadata of clouds', 'never'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'protocol assignments', 'never'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', 'relay of 6to4', 'never'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast', 'never'],
  ['240.0.0.0/4', 'reserved, broadcast', 'never'],
  ['::/128', 'unspecified', 'never'],
  ['::1/128', 'this machine'],
  ['::ffff:0:0/96', 'mapped from IPv4', 'never'],
  ['::ffff:0:0:0/96', 'translated from IPv4', 'never'],
  ['::/96', 'compatible with IPv4', 'never'],
  ['64:ff9b::/96', 'NAT64', 'never'],
  ['64:ff9b:1::/48', 'NAT64 of a network', 'never'],
  ['100::/64', 'discarded', 'never'],
  ['100:0:0:1::/64', 'dummy', 'never'],
  ['2001::/32', 'Teredo', 'never'],
  ['2001:2::/48', 'benchmarking'],
  ['2001:db8::/32', 'documentation'],
  ['2001::/23', 'protocol assignments', 'never'],
  ['2002::/16', '6to4', 'never'],
  ['3fff::/20', 'documentation'],
  ['5f00::/16', 'segment routing', 'never'],
  ['fd00:ec2::254/128', 'metadata of a cloud', 'never'],
  ['fc00::/7', 'private (unique local)'],
  ['fe80::/10', 'link-local', 'never'],
  ['fec0::/10', 'private (site-local)', 'never'],
  ['ff00::/8', 'multicast', 'never'],
  ['::/3', 'not given out', 'never'],
  ['4000::/2', 'not given out', 'never'],
  ['8000::/1', 'not given out', 'never'],
];

/** A set of addresses of one family: BlockList itself takes a mapped address for the IPv4 address in it, and the other way round. */
export interface AddressRange {
  readonly family: 4 | 6;
  contains(address: string): boolean;
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. Undefined: it is none. */
export function parseRange(text: string): AddressRange | undefined {
  const [address, bits, ...rest] = text.split('/') as [string, ...string[]];
  const family = isIP(address);
  if (family === 0 || address.includes('%') || rest.length > 0) return undefined;
  const longest = family === 4 ? 32 : 128;
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > longest)) return undefined;
  const list = new BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(address, bits === undefined ? longest : Number(bits), type);
  return {
    family: family as 4 | 6,
    contains: (other) => isIP(other) === family && list.check(other, type),
  };
}

const ranges = special.map(([text, why, never]) => ({
  range: parseRange(text)!,
  text,
  why,
  isNever: never === 'never',
}));

export interface SpecialAddress {
  /** For the operator's log: range and what it is. */
  readonly words: string;
  /** No setting opens it. */
  readonly isNever: boolean;
}

/** Why an address is not one of the public internet; undefined: it is. Whatever is no address in plain form (a zone behind `%`, a name) is never public. */
export function findSpecial(address: string): SpecialAddress | undefined {
  if (isIP(address) === 0 || address.includes('%')) return { words: 'no address', isNever: true };
  const found = ranges.find(({ range }) => range.contains(address));
  return found && { words: `${found.text}, ${found.why}`, isNever: found.isNever };
}
