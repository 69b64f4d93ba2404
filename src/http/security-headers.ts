import type { FastifyReply } from 'fastify';
import { randomBytes } from '#src/kernel/index.ts';

export interface HstsOptions {
  readonly maxAgeSeconds: number;
  readonly includeSubDomains: boolean;
}

const yearSeconds = 31_536_000;

/**
 * For the domain itself and what is no host of a tenant. Everything below a domain of ours is HTTPS; below `localhost` there is also what other programs
 * serve on this machine, which is not ours to decide.
 */
export function hstsOf(domain: string): HstsOptions {
  return { maxAgeSeconds: yearSeconds, includeSubDomains: domain !== 'localhost' };
}

/** For the host of a tenant: whatever may be below it is its own. */
export const tenantHsts: HstsOptions = { maxAgeSeconds: yearSeconds, includeSubDomains: true };

/** The policy of every answer. Pages get a nonce of their own, for styles that the page's library writes at run time. */
export function contentSecurityPolicy(nonce?: string): string {
  const nonceSource = nonce === undefined ? '' : ` 'nonce-${nonce}'`;
  return [
    "default-src 'none'",
    `script-src 'self'${nonceSource}`,
    `style-src 'self'${nonceSource}`,
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    // Said aloud, although default-src says it as well: ASVS 5.0 3.4.3 asks for the directive.
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}

const refusedFeatures = [
  'accelerometer',
  'autoplay',
  'browsing-topics',
  'camera',
  'display-capture',
  'encrypted-media',
  'fullscreen',
  'geolocation',
  'gyroscope',
  'hid',
  'idle-detection',
  'local-fonts',
  'magnetometer',
  'microphone',
  'midi',
  'payment',
  'picture-in-picture',
  'screen-wake-lock',
  'serial',
  'storage-access',
  'usb',
  'window-management',
  'xr-spatial-tracking',
];

/** Set on every answer before anything else happens, so that errors carry them as well. OWASP Secure Headers; ASVS 5.0 3.4. */
export function securityHeaders(hsts: HstsOptions | false): Readonly<Record<string, string>> {
  return {
    ...(hsts
      ? {
          'strict-transport-security': `max-age=${hsts.maxAgeSeconds}${hsts.includeSubDomains ? '; includeSubDomains' : ''}`,
        }
      : {}),
    'content-security-policy': contentSecurityPolicy(),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'origin-agent-cluster': '?1',
    'permissions-policy': refusedFeatures.map((feature) => `${feature}=()`).join(', '),
    // Whoever may be cached says so (hashed assets).
    'cache-control': 'no-store',
  };
}

/** A fresh nonce, announced in this answer's policy. */
export function setPageNonce(reply: FastifyReply): string {
  const nonce = randomBytes(16).toString('base64url');
  reply.header('content-security-policy', contentSecurityPolicy(nonce));
  return nonce;
}
