import { domainToASCII } from 'node:url';

/** How domains are compared: ASCII, lower case. Undefined: it is none, or a host without a dot. */
export function parseDomain(text: string): string | undefined {
  const domain = domainToASCII(text.trim().slice(0, 300).replace(/\.$/, '')).toLowerCase();
  const isName =
    domain.length <= 253 &&
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$/.test(domain);
  return isName ? domain : undefined;
}

/** Of an address, whether or not anybody has it. */
export function domainOf(email: string): string | undefined {
  const at = email.lastIndexOf('@');
  return at < 0 ? undefined : parseDomain(email.slice(at + 1));
}

export const challengeName = (domain: string) => `_freehold-challenge.${domain}`;
