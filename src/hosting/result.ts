import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import type { RouteResult } from '#sdk';
import { hostingErrors } from './errors.ts';
import { setFileHeaders } from './file-response.ts';

/** What an app may say in headers. Everything else (cookies, policies, lengths) belongs to the platform. */
const allowedHeaders = new Set([
  'content-type',
  'content-disposition',
  'content-language',
  'etag',
  'last-modified',
  'location',
  'retry-after',
]);
/** Types that a browser would run with the rights of the tenant's own origin. */
const activeTypes = /html|xml|svg|javascript|ecmascript|pdf|multipart/i;

/** Sends what a handler returned. Resolves when the app's part is over: for a file, when its content was read or given up. */
export async function sendResult(reply: FastifyReply, result: RouteResult | undefined): Promise<void> {
  if (result && 'file' in result) {
    setFileHeaders(reply, result.file, result.disposition);
    const closed = once(result.content, 'close');
    reply.send(result.content);
    await closed.catch(() => undefined);
    return;
  }
  const { status, body, headers = {} } = result ?? {};
  const code = status ?? (body === undefined ? 204 : 200);
  if (!Number.isInteger(code) || code < 200 || code > 299)
    throw faulty(`a result has a status from 200 to 299, not ${code}: refuse with an AppError`);
  for (const [name, value] of Object.entries(headers)) setHeader(reply, name.toLowerCase(), value);
  reply.code(code);
  if (body === undefined) {
    reply.send();
  } else if (reply.hasHeader('content-type')) {
    if (typeof body !== 'string' && !(body instanceof Uint8Array))
      throw faulty('a body with a content type of its own is a string or bytes');
    reply.send(typeof body === 'string' ? body : Buffer.from(body));
  } else {
    reply.type('application/json; charset=utf-8').send(reply.serialize(body));
  }
}

function setHeader(reply: FastifyReply, name: string, value: unknown): void {
  if (!allowedHeaders.has(name)) throw faulty(`the header ${name} belongs to the platform`);
  if (typeof value !== 'string' || !/^[\x20-\x7e]{1,1024}$/.test(value))
    throw faulty(`the header ${name} is malformed`);
  if (name === 'content-type' && activeTypes.test(value))
    throw faulty(`answers of the type ${value} belong to the page`);
  if (name === 'location' && !/^\/(?![/\\])/.test(value)) throw faulty('location is a path of this tenant');
  reply.header(name, value);
}

function faulty(problem: string): Error {
  // The problem is for the log, as the cause: it tells the author, not the user.
  return hostingErrors.FH_APP_FAULTY({ cause: new Error(problem) });
}
