import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { constants } from 'node:http2';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** How much of an unwanted body is read and thrown away, and for how long, before the connection is cut. */
const lingerBytes = 4 * 1_048_576;
const lingerMs = 1_000;

/**
 * Sends a refusal. When the client is still sending its body (a 2 GB upload that is not wanted), the answer goes out first and
 * the connection is closed a moment later: closed at once, the client would see a reset instead of the answer (RFC 9112, 9.6).
 */
export function sendRefusal(request: FastifyRequest, reply: FastifyReply, text: string): FastifyReply {
  const { raw } = request;
  if (raw.complete || raw.readableEnded || !announcesBody(raw.headers)) return reply.send(text);
  if (raw.httpVersionMajor >= 2) {
    const response = reply.raw as unknown as Http2ServerResponse;
    const stream = (raw as unknown as Http2ServerRequest).stream;
    response.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
    return reply.send(text);
  }
  const body = Buffer.from(text);
  reply.hijack();
  const response = reply.raw;
  const headers = reply.getHeaders() as OutgoingHttpHeaders;
  response.writeHead(reply.statusCode, { ...headers, 'content-length': body.length, connection: 'close' });
  if (request.method !== 'HEAD') response.write(body);
  discardContent(raw, () => response.end());
  return reply;
}

/** Throws the rest of a request away, for a while and up to a size; then, or when there is no more, calls `end`, once. */
export function discardContent(raw: IncomingMessage, end: () => void): void {
  let thrownAway = 0;
  const finish = () => {
    clearTimeout(timer);
    raw.off('data', count);
    raw.off('end', finish);
    raw.off('close', finish);
    end();
  };
  const timer = setTimeout(finish, lingerMs);
  const count = (chunk: Buffer) => {
    thrownAway += chunk.length;
    if (thrownAway > lingerBytes) finish();
  };
  raw.on('data', count);
  raw.once('end', finish);
  raw.once('close', finish);
  raw.resume();
}

function announcesBody(headers: FastifyRequest['raw']['headers']): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length === undefined ? false : length !== '0');
}
