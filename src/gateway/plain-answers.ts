import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { httpErrors, toProblem, toPublicError } from '#src/http/index.ts';
import { type FreeholdError, kernelErrors, newId } from '#src/kernel/index.ts';
import { gatewayErrors } from './errors.ts';
import { type HostRules, parseAuthority, readAuthority } from './host.ts';

/** Plain HTTP carries nothing of ours but the way to HTTPS, and only towards hosts of ours: never an open redirect. */
export function answerPlainRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { domain, publicPort }: HostRules,
): void {
  response.setHeader('connection', 'close');
  response.setHeader('cache-control', 'no-store');
  try {
    const { kind, host } = parseAuthority(readAuthority(request), { domain, publicPort: undefined });
    if (kind === 'foreign') throw gatewayErrors.FH_HOST_INVALID({ detail: 'it is not a host of ours' });
    const port = publicPort === 443 ? '' : `:${publicPort}`;
    response.writeHead(308, { location: `https://${host}${port}${request.url}`, 'content-length': 0 });
    response.end();
  } catch (error) {
    const { status, body } = problemText(error as FreeholdError);
    response.writeHead(status, { 'content-type': 'application/problem+json; charset=utf-8' });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

/** What the HTTP parser could not make a request of. Nothing of it is echoed or logged: it may be an attack on either. */
export function answerBrokenRequest(error: { readonly code?: string | undefined }, socket: Duplex): void {
  const answered = (socket as { _httpMessage?: { headersSent?: boolean } })._httpMessage?.headersSent;
  if (error.code === 'ECONNRESET' || !socket.writable || answered) {
    socket.destroy();
    return;
  }
  const { status, body } = problemText(brokenRequestError(error.code));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n` +
      `connection: close\r\n\r\n${body}`,
    // The rest of what the client sends is not wanted.
    () => socket.destroy(),
  );
}

function brokenRequestError(code: string | undefined): FreeholdError {
  if (code === 'HPE_HEADER_OVERFLOW') return httpErrors.FH_HEADERS_TOO_LARGE();
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return httpErrors.FH_BODY_TOO_LARGE();
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return httpErrors.FH_REQUEST_TIMEOUT();
  if (code === 'CONNECT') return httpErrors.FH_METHOD_NOT_ALLOWED();
  return kernelErrors.FH_INVALID_REQUEST({ detail: 'It is not well-formed HTTP.' });
}

function problemText(error: FreeholdError): { status: number; body: string } {
  return { status: error.status, body: JSON.stringify(toProblem(toPublicError(error), newId('req'))) };
}
