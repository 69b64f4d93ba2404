import { tenantErrors } from './errors.ts';

/**
 * Labels that mean something to the platform, to browsers or to mail and certificate conventions (RFC 2142 mailbox names,
 * hosts that certificate authorities and clients look for), so that no tenant can pose as the operator.
 */
const reservedNames = new Set(
  `about abuse account accounts acme-challenge admin administrator api app apps assets auth autoconfig autodiscover backup
  billing blog broadcasthost ca cdn certificate certificates console control dashboard demo-admin developer developers dns
  docs domain download downloads email example feedback files freehold ftp gateway git grafana health help host hostmaster
  http https identity imap info internal invalid invitation invite isatap ldap legal local localdomain localhost login logout
  mail mailer-daemon metrics monitor mta-sts news nobody noc noreply no-reply ns ns1 ns2 oauth operator owner platform pop
  pop3 postgres postmaster press private prometheus public register root saml sales secure security server setup shop signin
  signup sitemap smtp sso staff static status support sys system tenant tenants test-admin tls trust uucp uploads usenet vpn
  webhook webhooks webmail webmaster well-known wpad www www1 www2`.split(/\s+/),
);

/** Letters that Unicode does not decompose into a base letter and a mark. */
const foldings: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ı: 'i',
  ħ: 'h',
  ŋ: 'n',
};

/**
 * Checks a host label for a tenant. Strict on purpose: the same text must be one host name for every browser, proxy and
 * person, so look-alikes and internationalised names (RFC 5890) are refused with an ASCII form to use instead.
 */
export function parseTenantName(input: unknown): string {
  if (typeof input !== 'string') throw invalid('a name is a text');
  if (input.length === 0) throw invalid('the name is empty');
  if (input.length > 253) throw invalid(`${input.length} characters are too many; 40 are allowed`);
  const shown = JSON.stringify(input);
  if (/[^\x20-\x7e]/.test(input)) {
    throw invalid(`${shown} has characters outside a-z, 0-9 and hyphen`, suggestTenantName(input));
  }
  if (/[A-Z]/.test(input)) throw invalid(`${shown} has capital letters`, suggestTenantName(input));
  if (/[^a-z0-9-]/.test(input))
    throw invalid(`${shown} has characters outside a-z, 0-9 and hyphen`, suggestTenantName(input));
  if (input.length < 3) throw invalid(`${shown} is shorter than 3 characters`);
  if (input.length > 40) throw invalid(`${input.length} characters are too many; 40 are allowed`);
  if (input.startsWith('-') || input.endsWith('-'))
    throw invalid(`${shown} begins or ends with a hyphen`, suggestTenantName(input));
  if (input.includes('--')) throw invalid(`${shown} has two hyphens in a row`, suggestTenantName(input));
  if (/^[0-9]+$/.test(input)) throw invalid(`${shown} has digits only, which reads like part of an address`);
  if (reservedNames.has(input)) throw tenantErrors.FH_TENANT_NAME_RESERVED({ detail: shown });
  return input;
}

/** The nearest allowed name, or undefined when nothing sensible is left. */
export function suggestTenantName(input: string): string | undefined {
  const ascii = input
    .slice(0, 253)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\x20-\x7e]/g, (letter) => foldings[letter] ?? (/\p{M}/u.test(letter) ? '' : '-'))
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
  const usable = /^[a-z0-9](?:[a-z0-9]|-(?!-)){1,38}[a-z0-9]$/.test(ascii) && !/^[0-9]+$/.test(ascii);
  return usable && !reservedNames.has(ascii) ? ascii : undefined;
}

/** A display name: 1 to 120 characters, no control or invisible direction characters (they can make one text look like another). */
export function parseTitle(input: unknown): string {
  if (typeof input !== 'string') throw tenantErrors.FH_TENANT_TITLE_INVALID();
  const title = input.normalize('NFC').trim();
  if (title.length === 0) throw tenantErrors.FH_TENANT_TITLE_INVALID({ detail: 'it is empty' });
  if (title.length > 120)
    throw tenantErrors.FH_TENANT_TITLE_INVALID({ detail: `${title.length} characters are too many` });
  if (/[\p{Cc}\p{Cs}\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u.test(title)) {
    throw tenantErrors.FH_TENANT_TITLE_INVALID({ detail: 'it has invisible characters' });
  }
  return title;
}

/**
 * An address that can receive mail: the practical part of RFC 5321 (64 + 255 octets, dot-atom, host labels). Quoted local
 * parts and address literals are refused: no real mailbox needs them, and they hide surprises.
 */
export function parseEmail(input: unknown): string {
  if (typeof input !== 'string' || input.length > 254) throw tenantErrors.FH_TENANT_EMAIL_INVALID();
  const match = /^([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)@([A-Za-z0-9.-]+)$/.exec(
    input,
  );
  const labels = match?.[2]?.split('.') ?? [];
  if (
    !match ||
    match[1]!.length > 64 ||
    !labels.every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label))
  ) {
    throw tenantErrors.FH_TENANT_EMAIL_INVALID({ detail: JSON.stringify(input.slice(0, 80)) });
  }
  return input;
}

function invalid(detail: string, suggestion?: string) {
  return tenantErrors.FH_TENANT_NAME_INVALID(suggestion ? { detail, hint: `Use ${suggestion} instead.` } : { detail });
}
