import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { httpErrors } from '#src/http/index.ts';
import { type Clock, type FreeholdError, kernelErrors, toFreeholdError } from '#src/kernel/index.ts';
import { isClosedForAMoment } from '#src/tenants/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import { gatewayErrors } from './errors.ts';
import { type HostRules, parseAuthority, readAuthority } from './host.ts';
import { createPatience } from './patience.ts';
import { proxiedMethods } from './proxied-door.ts';
import type { GatewayDirectory, GatewayLimits } from './types.ts';

/** What the door found out about a raw request; carried on it to the Fastify instance that answers. */
export type Passage =
  | { readonly to: 'tenant'; readonly tenant: TenantRoute; readonly origin: string }
  | { readonly to: 'platform' }
  | { readonly to: 'nowhere'; readonly refusal: FreeholdError };

const passageKey = Symbol('passage');
type PassedRequest = IncomingMessage & { [passageKey]?: Passage };

export function setPassage(request: IncomingMessage, passage: Passage): void {
  (request as PassedRequest)[passageKey] = passage;
}

/** A request that did not come through the door goes nowhere. */
export function passageOf(request: IncomingMessage): Passage {
  return (request as PassedRequest)[passageKey] ?? { to: 'nowhere', refusal: gatewayErrors.FH_HOST_UNKNOWN() };
}

export interface DoorOptions {
  readonly domain: string;
  readonly publicPort: () => number;
  readonly directory: Pick<GatewayDirectory, 'findRoute' | 'knownRoute'>;
  readonly limits: GatewayLimits;
  readonly clock: Clock;
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

export const healthPath = '/-/healthz';

/** Raw request → tenant, or the reason why not. Fails closed: there is no default tenant. Waits only for a tenant that is not known yet, or closed for a moment. */
export function createDoor({ domain, publicPort, directory, limits, clock }: DoorOptions) {
  const untilOpen = createPatience(directory, limits, clock);
  const toTenant = (host: string, tenant: TenantRoute | undefined, { method, url }: IncomingMessage): Passage => {
    // The directory is asked for exactly this host, so any other answer is a mistake in it; refused, not used.
    if (tenant?.host !== host) throw gatewayErrors.FH_HOST_UNKNOWN();
    if (!methods.has(method!) && !(tenant.process && !url!.startsWith('/-/'))) throw httpErrors.FH_METHOD_NOT_ALLOWED();
    return { to: 'tenant', tenant, origin: originOf(host, publicPort()) };
  };
  const refused = (error: unknown): Passage => ({ to: 'nowhere', refusal: toFreeholdError(error) });
  return (request: IncomingMessage): Passage | Promise<Passage> => {
    try {
      if (request.url === healthPath && isLoopback(request.socket.remoteAddress)) return { to: 'platform' };
      const rules: HostRules = { domain, publicPort: publicPort() };
      const { kind, host } = parseAuthority(readAuthority(request), rules);
      refuseExcess(request, limits);
      if (hasOddCoding(request))
        throw kernelErrors.FH_INVALID_REQUEST({ detail: 'Only the transfer coding chunked is understood.' });
      if (!(kind === 'tenant' ? proxiedMethods : methods).has(request.method!))
        throw httpErrors.FH_METHOD_NOT_ALLOWED();
      // The certificate that the client checked must be the one of the host it asks (RFC 9110, 7.4).
      if (serverNameOf(request) !== host) throw gatewayErrors.FH_HOST_MISDIRECTED();
      if (kind === 'base') return { to: 'platform' };
      if (kind === 'foreign') throw gatewayErrors.FH_HOST_UNKNOWN();
      const known = directory.knownRoute?.(host);
      if (known && !isClosedForAMoment(known.state)) return toTenant(host, known, request);
      return directory
        .findRoute(host)
        .then((found) => (found && isClosedForAMoment(found.state) ? untilOpen(found) : found))
        .then((found) => toTenant(host, found, request))
        .catch(refused);
    } catch (error) {
      return refused(error);
    }
  };
}

/** Names are case-insensitive here as well (RFC 6066, 3). */
function serverNameOf(request: IncomingMessage): string | undefined {
  const { servername } = request.socket as TLSSocket;
  return typeof servername === 'string' ? servername.toLowerCase() : undefined;
}

export function originOf(host: string, publicPort: number): string {
  return publicPort === 443 ? `https://${host}` : `https://${host}:${publicPort}`;
}

function refuseExcess({ url, rawHeaders }: IncomingMessage, { urlBytes, headerCount }: GatewayLimits): void {
  if (url!.length > urlBytes) throw httpErrors.FH_URL_TOO_LONG();
  if (rawHeaders.length / 2 > headerCount) throw httpErrors.FH_HEADERS_TOO_LARGE();
}

/**
 * Codings beside chunked, which Node's parser takes: content that nobody decodes, and perhaps another end of the message for whoever is in front of us. Refused, and
 * nothing behind it on its connection is looked at (RFC 9112, 6.1).
 */
export function hasOddCoding({ headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  return coding !== undefined && coding.trim().toLowerCase() !== 'chunked';
}

function isLoopback(address: string | undefined): boolean {
  return address === '127.0.0.1' || address === '::1' || address === '::ffff:127.0.0.1';
}
