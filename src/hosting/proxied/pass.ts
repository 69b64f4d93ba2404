import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { httpErrors } from '#src/http/index.ts';
import { cut, passInformation, receiveContent, sendContent } from './content.ts';
import { proxiedErrors } from './errors.ts';
import { framingOf, requestHeaders } from './request-headers.ts';
import { responseHeaders } from './response-headers.ts';
import type { ProxiedDeps, Renew } from './types.ts';
import { answerOf, NotConnected, openUpstream, whenConnected } from './upstream.ts';

/** From the connection to the head of the answer; less than a client's connection may be silent. */
const answerMs = 110_000;

export interface PassDeps extends ProxiedDeps {
  readonly connections: Agent;
  readonly renew: Renew;
}

/** What is said to the app beside what the client said. */
export interface Passing {
  /** `Freehold-Identity`, if anybody is to be named. */
  readonly identity: string | undefined;
  readonly isWithToken: boolean;
}

/**
 * Passes a request on to the process of its tenant and the answer back, both as they come. Resolves when the answer's head has been sent, rejects with what is
 * to be answered instead.
 */
export async function passOn(
  request: FastifyRequest,
  reply: FastifyReply,
  passing: Passing,
  deps: PassDeps,
): Promise<void> {
  const { raw, tenant } = request;
  if (Number(raw.headers['content-length'] ?? 0) > tenant.process!.bodyBytes) throw httpErrors.FH_BODY_TOO_LARGE();
  const headers = requestHeaders(raw, {
    ...passing,
    authority: new URL(deps.urlOf(tenant)).host,
    clientAddress: request.ip,
    requestId: request.id,
  });
  let answer: IncomingMessage;
  try {
    answer = await ask(request, reply, headers, deps.connections, deps);
  } catch (error) {
    if (!(error instanceof EndedBefore)) throw error;
    answer = await ask(request, reply, headers, false, deps);
  }
  await sendHead(request, reply, answer, deps);
}

/** The app ended a kept connection at the very moment in which we used it: a request that changes nothing is made once more (RFC 9110, 9.2.2). */
class EndedBefore extends Error {}

async function ask(
  request: FastifyRequest,
  reply: FastifyReply,
  headers: readonly string[],
  agent: Agent | false,
  deps: PassDeps,
): Promise<IncomingMessage> {
  const { raw, signalAbort } = request;
  const { hasBody, headers: framing } = framingOf(raw);
  const upstream = await connect(request, reply, [...headers, ...framing], agent, deps);
  const answered = answerOf(upstream);
  let refusal: Error | undefined;
  const end = (error: Error) => {
    refusal ??= error;
    if (reply.raw.headersSent) cut(reply.raw);
    upstream.destroy();
  };
  const leave = () => end(httpErrors.FH_CLIENT_GONE());
  signalAbort.addEventListener('abort', leave);
  upstream.once('close', () => signalAbort.removeEventListener('abort', leave));
  const timer = setTimeout(() => end(proxiedErrors.FH_APP_SILENT()), answerMs);
  passInformation(upstream, raw, reply.raw);
  if (hasBody) sendContent(raw, upstream, request.tenant.process!.bodyBytes, end);
  else upstream.end();
  try {
    return await answered;
  } catch (cause) {
    const mayRepeat = upstream.reusedSocket && !hasBody && /^(?:GET|HEAD|OPTIONS)$/.test(request.method);
    if (!refusal && mayRepeat) throw new EndedBefore();
    throw refusal ?? proxiedErrors.FH_APP_UNREACHABLE({ cause });
  } finally {
    clearTimeout(timer);
  }
}

/** A connection to the tenant's process. When nobody listens there any more, once to its next life. */
async function connect(
  request: FastifyRequest,
  reply: FastifyReply,
  headers: readonly string[],
  agent: Agent | false,
  { processes }: PassDeps,
): Promise<ClientRequest> {
  const { tenantId } = request.tenant;
  for (let attempt = 1; ; attempt++) {
    const visit = await processes.visit(tenantId, request.signalAbort);
    try {
      if (request.signalAbort.aborted) throw httpErrors.FH_CLIENT_GONE();
      const upstream = openUpstream({ agent, visit, method: request.method, target: request.originalUrl, headers });
      await whenConnected(upstream);
      if (request.signalAbort.aborted) {
        upstream.on('error', () => {}).destroy();
        throw httpErrors.FH_CLIENT_GONE();
      }
      reply.raw.once('close', visit.leave);
      return upstream;
    } catch (error) {
      visit.leave();
      if (!(error instanceof NotConnected)) throw error;
      processes.forget(tenantId, visit.instanceId);
      if (attempt === 2) throw proxiedErrors.FH_APP_UNREACHABLE({ cause: error });
    }
  }
}

async function sendHead(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: IncomingMessage,
  { log, renew }: PassDeps,
): Promise<void> {
  answer.on('error', () => {});
  const { raw, tenant } = request;
  const status = answer.statusCode!;
  const renewal = await renew(request, { status, cacheControl: answer.headers['cache-control'] ?? '' });
  if (request.signalAbort.aborted) {
    answer.destroy();
    throw httpErrors.FH_CLIENT_GONE();
  }
  const headers = responseHeaders(answer.rawHeaders, status, {
    host: tenant.host,
    requestId: request.id,
    renewal,
    onCookieRefused: () =>
      log.warn("an app's cookie was dropped: it is the platform's, or for other hosts", {
        tenantId: tenant.tenantId,
        requestId: request.id,
      }),
  });
  // What is still to come of the request may never be read; nobody may take it for the next one (RFC 9112, 9.6).
  if (raw.httpVersionMajor === 1 && !raw.complete) headers.push('Connection', 'close');
  try {
    if (raw.httpVersionMajor === 1) reply.raw.writeHead(status, answer.statusMessage, headers);
    else reply.raw.writeHead(status, headers);
  } catch (cause) {
    answer.destroy();
    throw proxiedErrors.FH_APP_UNREACHABLE({ cause });
  }
  reply.hijack();
  receiveContent(answer, raw, reply.raw);
}
