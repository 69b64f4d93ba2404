import { securityHeaders, tenantHsts } from '#src/http/index.ts';
import { limitClearSiteData, maySetCookie } from './cookies.ts';
import { hopByHop, isForFrontServers } from './names.ts';

export interface AnswerRules {
  /** The tenant's, without port. */
  readonly host: string;
  readonly requestId: string;
  /** `Set-Cookie` of the platform's own. */
  readonly renewal: string | undefined;
  /** A `Set-Cookie` that no browser will hear. */
  readonly onCookieRefused: () => void;
}

const hsts = securityHeaders(tenantHsts)['strict-transport-security']!;

/**
 * What a client hears of an app's answer, in order and spelling, with every duplicate. An app that nobody here wrote has its own policies (CSP, framing, CORS,
 * caching), and ours would break it; only two are ours: HSTS, because the host is, and `nosniff` where the app says nothing.
 */
export function responseHeaders(rawHeaders: readonly string[], status: number, rules: AnswerRules): string[] {
  const named = connectionNames(rawHeaders);
  const headers: string[] = [];
  const seen = new Set<string>();
  let length: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const spelt = rawHeaders[at]!;
    let value = rawHeaders[at + 1]!;
    const name = spelt.toLowerCase();
    if (hopByHop.has(name) || named.has(name) || isForFrontServers(name)) continue;
    if (name === 'content-length') {
      // RFC 9110, 8.6: not with these.
      if (status >= 200 && status !== 204) length = value;
      continue;
    }
    if (name === 'set-cookie' && !maySetCookie(value, rules.host)) {
      rules.onCookieRefused();
      continue;
    }
    if (name === 'clear-site-data') {
      const limited = limitClearSiteData(value);
      if (limited === undefined) continue;
      value = limited;
    }
    seen.add(name);
    headers.push(spelt, value);
  }
  headers.push('Strict-Transport-Security', hsts);
  if (!seen.has('x-content-type-options')) headers.push('X-Content-Type-Options', 'nosniff');
  if (!seen.has('x-request-id')) headers.push('X-Request-Id', rules.requestId);
  if (rules.renewal !== undefined) headers.push('Set-Cookie', rules.renewal);
  // Behind it Node would take Content-Disposition for another encoding than it is (`processHeader`, seen with 26.10).
  if (length !== undefined) headers.push('Content-Length', length);
  return headers;
}

function connectionNames(rawHeaders: readonly string[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]!.toLowerCase() === 'connection')
      for (const name of rawHeaders[at + 1]!.split(',')) names.add(name.trim().toLowerCase());
  return names;
}
