import type { Agent, IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { httpErrors } from '#src/http/index.ts';
import { FreeholdError, type TenantId } from '#src/kernel/index.ts';
import { cut, passInformation, receiveContent, sendContent } from './content.ts';
import { connectToApp } from './entering.ts';
import { proxiedErrors } from './errors.ts';
import type { IdentityTokens } from './identity-token.ts';
import { framingOf, requestHeaders } from './request-headers.ts';
import { responseHeaders } from './response-headers.ts';
import type { ProxiedDeps, Renew, Visit } from './types.ts';
import type { Entry, UnderWay } from './under-way.ts';
import { answerOf } from './upstream.ts';

/** From the connection to the head of the answer; less than a client's connection may be silent. */
export const answerMs = 110_000;

export interface PassDeps extends ProxiedDeps {
  readonly connections: Agent;
  readonly renew: Renew;
  readonly underWay: UnderWay;
  readonly tokens: IdentityTokens;
  /** Tenants whose app was said to set cookies that are not its own. */
  readonly cookieWarnings: Set<TenantId>;
}

/**
 * Passes a request on to the process of its tenant and the answer back, both as they come. Resolves when the answer's head has been sent, rejects with what is
 * to be answered instead.
 */
export async function passOn(request: FastifyRequest, reply: FastifyReply, deps: PassDeps): Promise<void> {
  const { raw, tenant } = request;
  if (Number(raw.headers['content-length'] ?? 0) > tenant.process!.bodyBytes) throw httpErrors.FH_BODY_TOO_LARGE();
  const headers = await headersOf(request, deps);
  let asked: Asked;
  try {
    asked = await ask(request, reply, headers, deps.connections, deps);
  } catch (error) {
    if (!(error instanceof EndedBefore)) throw error;
    asked = await ask(request, reply, headers, false, deps);
  }
  await sendHead(request, reply, asked, deps);
}

/** What the app is told; what cannot be read in one way only is refused before anything is woken. */
export async function headersOf(
  request: FastifyRequest,
  { tokens, urlOf }: Pick<PassDeps, 'tokens' | 'urlOf'>,
): Promise<string[]> {
  const { tenant, session, apiToken } = request;
  const user = (session ?? apiToken)?.user;
  return requestHeaders(request.raw, {
    authority: new URL(urlOf(tenant)).host,
    clientAddress: request.ip,
    requestId: request.id,
    identity: user && (await tokens.sign(tenant, user, request.id)),
    isWithToken: apiToken !== undefined,
  });
}

export interface Asked {
  readonly answer: IncomingMessage;
  readonly entry: Entry;
  readonly visit: Visit;
}

/** The app ended a kept connection at the very moment in which we used it: a request that changes nothing is made once more (RFC 9110, 9.2.2). */
class EndedBefore extends Error {}

async function ask(
  request: FastifyRequest,
  reply: FastifyReply,
  headers: readonly string[],
  agent: Agent | false,
  deps: PassDeps,
): Promise<Asked> {
  const { raw, signalAbort } = request;
  const { hasBody, headers: framing } = framingOf(raw);
  const { upstream, visit } = await connectToApp(request, reply, [...headers, ...framing], { ...deps, agent });
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
  const entry = deps.underWay.begin(request, reply, () => end(proxiedErrors.FH_APP_UNREACHABLE()));
  const timer = setTimeout(() => end(proxiedErrors.FH_APP_SILENT()), answerMs);
  passInformation(upstream, raw, reply.raw);
  if (hasBody) sendContent(raw, upstream, request.tenant.process!.bodyBytes, end);
  else upstream.end();
  try {
    return { answer: await answered, entry, visit };
  } catch (cause) {
    const mayRepeat = upstream.reusedSocket && !hasBody && /^(?:GET|HEAD|OPTIONS)$/.test(request.method);
    if (!refusal && mayRepeat) throw new EndedBefore();
    throw refusal ?? proxiedErrors.FH_APP_UNREACHABLE({ cause });
  } finally {
    clearTimeout(timer);
  }
}

export async function sendHead(
  request: FastifyRequest,
  reply: FastifyReply,
  { answer, entry, visit }: Asked,
  { log, renew, cookieWarnings }: PassDeps,
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
    onCookieRefused: () => {
      // It may do so with every answer; once is enough to find it.
      if (cookieWarnings.has(tenant.tenantId)) return;
      cookieWarnings.add(tenant.tenantId);
      log.warn("an app's cookie was dropped: it is the platform's, or for other hosts", {
        tenantId: tenant.tenantId,
        requestId: request.id,
      });
    },
  });
  // What is still to come of the request may never be read; nobody may take it for the next one (RFC 9112, 9.6).
  if (raw.httpVersionMajor === 1 && !raw.complete) headers.push('Connection', 'close');
  try {
    if (/^text\/event-stream\b/i.test(answer.headers['content-type'] ?? '')) {
      entry.becomeStream(() => {
        reply.raw.end();
        answer.destroy();
      });
      visit.becomeStream();
      answer.on('data', entry.touch);
    }
    if (raw.httpVersionMajor === 1) reply.raw.writeHead(status, answer.statusMessage, headers);
    else reply.raw.writeHead(status, headers);
  } catch (cause) {
    answer.destroy();
    throw cause instanceof FreeholdError ? cause : proxiedErrors.FH_APP_UNREACHABLE({ cause });
  }
  reply.hijack();
  receiveContent(answer, raw, reply.raw);
}
