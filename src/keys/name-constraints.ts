/** RFC 5280, 4.2.1.10. Written by hand because it is twenty bytes of DER and the library has no class for it. */
export const nameConstraintsId = '2.5.29.30';

const sequence = 0x30;
const permittedSubtrees = 0xa0;
const excludedSubtrees = 0xa1;
const dnsName = 0x82;
const ipAddress = 0x87;

/** Permits one DNS name and everything below it; excludes every IPv4 and IPv6 address. */
export function encodeNameConstraints(domain: string): Buffer {
  const allIpv4 = Buffer.alloc(8);
  const allIpv6 = Buffer.alloc(32);
  return der(
    sequence,
    der(permittedSubtrees, der(sequence, der(dnsName, Buffer.from(domain, 'ascii')))),
    der(excludedSubtrees, der(sequence, der(ipAddress, allIpv4)), der(sequence, der(ipAddress, allIpv6))),
  );
}

function der(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length > 0xffff) throw new TypeError('too long');
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), body]);
}
