import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type FreeholdError, kernelErrors, newId } from '#src/kernel/index.ts';
import { httpErrors } from './errors.ts';
import { toProblem, toPublicError } from './problem.ts';
import { type HstsOptions, securityHeaders } from './security-headers.ts';

/**
 * What the HTTP parser could not make a request of. Nothing of it is echoed or logged: it may be an attack on either.
 * @param hsts of the listener; left out where the connection is not encrypted (RFC 6797, 7.2)
 */
export function answerBrokenRequest(
  error: { readonly code?: string | undefined },
  socket: Duplex,
  hsts: HstsOptions | false,
): void {
  const answered = (socket as { _httpMessage?: { headersSent?: boolean } })._httpMessage?.headersSent;
  if (error.code === 'ECONNRESET' || !socket.writable || answered) {
    socket.destroy();
    return;
  }
  const refusal = brokenRequestError(error.code);
  const body = JSON.stringify(toProblem(toPublicError(refusal), newId('req')));
  const headers = {
    ...securityHeaders((socket as TLSSocket).encrypted ? hsts : false),
    'content-type': 'application/problem+json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${lines.join('')}\r\n${body}`,
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
