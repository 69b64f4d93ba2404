import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { kernelErrors } from '#src/kernel/index.ts';
import { divideCookies } from './cookies.ts';
import { hopByHop, isForbiddenTrailer, isSpoofable } from './names.ts';

/** What we say ourselves about a request. */
export interface Saying {
  /** As a browser shows it: `acme.example.com`, with the port unless it is 443. */
  readonly authority: string;
  readonly clientAddress: string;
  readonly requestId: string;
  /** `Freehold-Identity`; undefined: nobody is signed in, or the app does not ask. */
  readonly identity: string | undefined;
  /** The request came with an API token of the platform's, which is none of the app's business. */
  readonly isWithToken: boolean;
}

/** Names and values in turn, as `node:http` sends them: the client's in their order and spelling, without what is not for the app, then ours. */
export function requestHeaders(request: IncomingMessage, saying: Saying): string[] {
  const { rawHeaders } = request;
  const named = connectionNames(request);
  const headers: string[] = ['Host', saying.authority];
  const cookies: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const spelt = rawHeaders[at]!;
    // HTTP/2's own (RFC 9113, 8.3); the method, the path and the authority go their own way.
    if (spelt.startsWith(':')) continue;
    const name = readName(spelt);
    if (hopByHop.has(name) || named.has(name) || isSpoofable(name) || name === 'content-length') continue;
    if (name === 'authorization' && saying.isWithToken) continue;
    if (name === 'cookie') cookies.push(rawHeaders[at + 1]!);
    else headers.push(spelt, rawHeaders[at + 1]!);
  }
  // HTTP/2 may split them; HTTP/1.1 has one (RFC 9113, 8.2.3).
  const { app } = divideCookies(cookies.join('; '));
  if (app !== '') headers.push('Cookie', app);
  const port = /:(\d+)$/.exec(saying.authority)?.[1] ?? '443';
  headers.push('X-Forwarded-For', saying.clientAddress, 'X-Forwarded-Proto', 'https');
  headers.push('X-Forwarded-Host', saying.authority, 'X-Forwarded-Port', port, 'X-Request-Id', saying.requestId);
  if (saying.identity !== undefined) headers.push('Freehold-Identity', saying.identity);
  if (takesTrailers(request) && request.headers.upgrade === undefined)
    headers.push('TE', 'trailers', 'Connection', 'TE');
  return headers;
}

/** How the content of a request is framed towards the app: decided by us from what was received, never copied. RFC 9112, 6. */
export function framingOf(request: IncomingMessage): {
  readonly hasBody: boolean;
  readonly headers: readonly string[];
} {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  const stream = (request as unknown as Partial<Http2ServerRequest>).stream;
  const hasBody = stream ? !stream.endAfterHeaders : coding !== undefined || (length !== undefined && length !== '0');
  if (hasBody && length === undefined) return { hasBody, headers: ['Transfer-Encoding', 'chunked'] };
  if (hasBody) return { hasBody, headers: ['Content-Length', length!] };
  // RFC 9110, 8.6: methods that usually have content say that there is none.
  const isWithout = length === undefined && /^(?:GET|HEAD|DELETE|OPTIONS)$/.test(request.method!);
  return { hasBody, headers: isWithout ? [] : ['Content-Length', '0'] };
}

/** Those that may pass; undefined: none. */
export function passingTrailers(rawTrailers: readonly string[]): Record<string, string[]> | undefined {
  let trailers: Record<string, string[]> | undefined;
  for (let at = 0; at < rawTrailers.length; at += 2) {
    const name = rawTrailers[at]!.toLowerCase();
    if (!/^[a-z0-9-]+$/.test(name) || isForbiddenTrailer(name)) continue;
    trailers ??= Object.create(null) as Record<string, string[]>;
    trailers[name] = [...(trailers[name] ?? []), rawTrailers[at + 1]!];
  }
  return trailers;
}

/**
 * Lower case. CGI and WSGI make one name of `X-User` and `X_User`, and drop or keep other characters each in their way; what could be read as another
 * header than the one that was judged is refused.
 */
function readName(spelt: string): string {
  if (!/^[A-Za-z0-9-]+$/.test(spelt))
    throw kernelErrors.FH_INVALID_REQUEST({
      detail: 'A name of a header has other characters than letters, digits and hyphens.',
    });
  return spelt.toLowerCase();
}

/** Headers that `Connection` names belong to the connection as well (RFC 9110, 7.6.1); none that we rely on can be removed that way. */
function connectionNames({ headers }: IncomingMessage): ReadonlySet<string> {
  const { connection } = headers;
  if (connection === undefined || /^(?:keep-alive|close)$/i.test(connection)) return none;
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
}

const none: ReadonlySet<string> = new Set();

function takesTrailers({ headers }: IncomingMessage): boolean {
  return /(?:^|,)\s*trailers\s*(?:;|,|$)/i.test(String(headers.te ?? ''));
}
