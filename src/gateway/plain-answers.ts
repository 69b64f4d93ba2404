import type { IncomingMessage, ServerResponse } from 'node:http';
import { securityHeaders, toProblem, toPublicError } from '#src/http/index.ts';
import { type FreeholdError, newId } from '#src/kernel/index.ts';
import { gatewayErrors } from './errors.ts';
import { type HostRules, parseAuthority, readAuthority } from './host.ts';

/** RFC 6797, 7.2: nothing about HTTPS is believed that was said without it. */
const headers = securityHeaders(false);

/**
 * Plain HTTP carries nothing of ours but the way to HTTPS, and only towards hosts of ours: never an open redirect. Only people are led there: a program that
 * was silently redirected would go on sending its token for everybody to read (ASVS 5.0 4.1.2).
 */
export function answerPlainRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { domain, publicPort }: HostRules,
): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('connection', 'close');
  try {
    const { kind, host } = parseAuthority(readAuthority(request), { domain, publicPort: undefined });
    if (kind === 'foreign') throw gatewayErrors.FH_HOST_INVALID({ detail: 'it is not a host of ours' });
    if (!isForPeople(request)) throw gatewayErrors.FH_HTTPS_REQUIRED();
    const port = publicPort === 443 ? '' : `:${publicPort}`;
    response.writeHead(308, { location: `https://${host}${port}${request.url}`, 'content-length': 0 });
    response.end();
  } catch (error) {
    const { status, body } = problemText(error as FreeholdError);
    response.writeHead(status, {
      'content-type': 'application/problem+json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

function isForPeople({ method, url = '', headers: { authorization } }: IncomingMessage): boolean {
  return (
    (method === 'GET' || method === 'HEAD') && authorization === undefined && !/^\/(?:-\/)?api(?:\/|$|\?)/.test(url)
  );
}

function problemText(error: FreeholdError): { status: number; body: string } {
  return { status: error.status, body: JSON.stringify(toProblem(toPublicError(error), newId('req'))) };
}
