import type { IncomingHttpHeaders } from 'node:http';
import { gatewayErrors } from './errors.ts';

/** For the one kind of route that takes forms of other sites: somebody's browser goes there; no script or image does, and no frame unless the route says so. */
export function refuseUnlessNavigation(headers: IncomingHttpHeaders, mayBeFramed = false): void {
  const { 'sec-fetch-mode': mode = 'navigate', 'sec-fetch-dest': destination = 'document' } = headers;
  const isFrame = destination === 'iframe' || destination === 'frame';
  if (mode !== 'navigate' || (destination !== 'document' && !(mayBeFramed && isFrame)))
    throw gatewayErrors.FH_CROSS_SITE();
}

/**
 * Refuses what a page of another origin made the browser send. Another tenant's page is another origin, although of the same
 * site (its cookies are its own, `__Host-`, but SameSite does not keep it out). Programs that send neither header pass: they
 * have no ambient cookie. W3C Fetch Metadata; OWASP CSRF cheat sheet.
 */
export function refuseCrossSite(method: string, headers: IncomingHttpHeaders, origin: string): void {
  if (isCrossSite(method, headers, origin)) throw gatewayErrors.FH_CROSS_SITE();
}

/** A link from elsewhere may be followed, and is none; reading, embedding, probing and changing from elsewhere are. */
export function isCrossSite(method: string, headers: IncomingHttpHeaders, origin: string): boolean {
  const site = headers['sec-fetch-site'];
  if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS')
    return (
      (site !== undefined && site !== 'same-origin' && site !== 'none') ||
      (headers.origin !== undefined && headers.origin !== origin)
    );
  return (
    (site === 'cross-site' || site === 'same-site') &&
    (headers['sec-fetch-mode'] !== 'navigate' || headers['sec-fetch-dest'] !== 'document')
  );
}
