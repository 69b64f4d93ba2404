/**
 * Which headers pass between clients and apps that run as processes, and which do not. Names in lower case. Proved by headers.test.ts and,
 * on the wire, by attacks.test.ts.
 */

/** Belong to one connection (RFC 9110, 7.6.1, and what was such before it). Both ways. */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Said by us, or by nobody: an app would believe them about who asks, from where, and for what. */
const spoofable: ReadonlySet<string> = new Set([
  'host',
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-request-id',
  'x-host',
  'x-http-host-override',
  'x-proxyuser-ip',
  'x-url-scheme',
  'x-scheme',
  'front-end-https',
  'client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'remote-user',
  'remote-addr',
  'x-remote-user',
  'x-remote-email',
  'x-remote-name',
  'x-authenticated-user',
  // CGI would make HTTP_PROXY of it: https://httpoxy.org
  'proxy',
]);

const spoofablePrefixes = ['x-forwarded-', 'x-original-', 'x-rewrite-', 'freehold-', 'x-ssl-', 'x-client-cert'];

export function isSpoofable(name: string): boolean {
  return spoofable.has(name) || spoofablePrefixes.some((prefix) => name.startsWith(prefix));
}

/** What an app says to the server in front of it, never to clients; a further proxy of the operator's would obey it. */
const forFrontServers: ReadonlySet<string> = new Set([
  'server',
  'x-powered-by',
  'x-aspnet-version',
  'x-aspnetmvc-version',
  'x-sendfile',
  'x-lighttpd-send-file',
  'x-reproxy-url',
  'x-accel-redirect',
  'x-accel-limit-rate',
  'x-accel-expires',
  'x-accel-charset',
  // Of connections to this host, which are ours.
  'alt-svc',
  'strict-transport-security',
  'public-key-pins',
  'set-cookie2',
]);

export function isForFrontServers(name: string): boolean {
  return forFrontServers.has(name) || name.startsWith('freehold-');
}

/** Never as a trailer: framing, routing, who asks, and what is decided before the content (RFC 9110, 6.5.1). */
export function isForbiddenTrailer(name: string): boolean {
  return (
    hopByHop.has(name) ||
    isSpoofable(name) ||
    isForFrontServers(name) ||
    /^(?:content-(?:length|encoding|type|range)|trailer|authorization|cookie|set-cookie|host|expect|range|if-.*|cache-control|age|date|expires|location|retry-after|vary|warning|www-authenticate|max-forwards|pragma)$/.test(
      name,
    )
  );
}
