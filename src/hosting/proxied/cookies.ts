/** The platform's cookies, all of them; no app reads or sets one, in whatever spelling. */
const ownCookie = /^__host-freehold/i;

/**
 * A Cookie header taken apart as browsers put it together, at semicolons (RFC 6265, 4.2.1): what is the platform's, and what is the app's. Where another parser would
 * see one of ours inside of quotes or after a comma, the app's part goes without that pair, too.
 */
export function divideCookies(header: string): { readonly platform: string; readonly app: string } {
  // Almost always there is nothing of ours, or nothing else.
  if (!/__host-freehold/i.test(header)) return { platform: '', app: header };
  const platform: string[] = [];
  const app: string[] = [];
  for (const pair of header.split(';')) {
    const text = pair.trim();
    if (ownCookie.test(text)) platform.push(text);
    else if (text !== '' && !/__host-freehold/i.test(text)) app.push(text);
  }
  return { platform: platform.join('; '), app: app.join('; ') };
}

/**
 * Whether a browser may hear this `Set-Cookie` of an app: neither a cookie of the platform's, nor one for other hosts than the tenant's own and what is below it.
 * A nameless cookie is judged by its value, because browsers send it as the value alone (draft-ietf-httpbis-rfc6265bis, 5.7).
 */
export function maySetCookie(line: string, host: string): boolean {
  const [pair = '', ...attributes] = line.split(';');
  if (ownCookie.test(pair.replace(/^[\s=]+/, ''))) return false;
  return attributes.every((attribute) => {
    const [name = '', ...rest] = attribute.split('=');
    if (name.trim().toLowerCase() !== 'domain') return true;
    const domain = rest.join('=').trim().replace(/^\./, '').toLowerCase();
    return domain === '' || domain === host;
  });
}

/** `Clear-Site-Data` without what would end sessions of the platform, here and (cookies of the whole registrable domain) at other tenants. */
export function limitClearSiteData(value: string): string | undefined {
  const kept = new Set<string>();
  for (const kind of value.split(',').map((part) => part.trim())) {
    if (kind === '"*"') for (const each of ['"cache"', '"storage"']) kept.add(each);
    else if (/^"(?:cache|storage|executionContexts|prefetchCache|prerenderCache|clientHints)"$/.test(kind))
      kept.add(kind);
  }
  return kept.size === 0 ? undefined : [...kept].join(', ');
}
