import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { httpErrors } from '#src/http/index.ts';
import { connectToApp } from './entering.ts';
import { proxiedErrors } from './errors.ts';
import { answerMs, headersOf, type PassDeps, sendHead } from './pass.ts';
import { responseHeaders } from './response-headers.ts';

const headKey = Symbol('head');
type UpgradeRequest = IncomingMessage & { [headKey]?: Buffer };

/** Dead peers are found by TCP; a living one may be silent for as long. */
const silenceMs = 3_600_000;
const keepAliveMs = 60_000;

/** Only WebSockets over HTTP/1.1 (RFC 6455, 4.1), and never with content, which would be read as frames. */
export function isWebSocketRequest({ method, headers, httpVersion }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    (headers['content-length'] ?? '0') === '0' &&
    headers['transfer-encoding'] === undefined
  );
}

/** @param head what the client sent after its request */
export function setUpgrade(request: IncomingMessage, head: Buffer): void {
  (request as UpgradeRequest)[headKey] = head;
}

export function isUpgrade(request: IncomingMessage): boolean {
  return (request as UpgradeRequest)[headKey] !== undefined;
}

/** Asks the app for a WebSocket; its answer is passed on like any other unless it is 101, from which on bytes pass both ways, whatever they mean. */
export async function passUpgradeOn(request: FastifyRequest, reply: FastifyReply, deps: PassDeps): Promise<void> {
  const { raw, signalAbort } = request;
  const headers = await headersOf(request, deps);
  headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
  const { upstream, visit } = await connectToApp(request, reply, headers, { ...deps, agent: false });
  let refusal: Error | undefined;
  const end = (error: Error) => {
    refusal ??= error;
    upstream.destroy();
  };
  const leave = () => end(httpErrors.FH_CLIENT_GONE());
  signalAbort.addEventListener('abort', leave);
  const entry = deps.underWay.begin(request, reply, () => end(proxiedErrors.FH_APP_UNREACHABLE()));
  const timer = setTimeout(() => end(proxiedErrors.FH_APP_SILENT()), answerMs);
  const answered = new Promise<{ answer: IncomingMessage; app?: Duplex; head?: Buffer }>((resolve, reject) => {
    upstream.once('upgrade', (answer, app, head) => resolve({ answer, app, head }));
    upstream.once('response', (answer) => resolve({ answer }));
    upstream.on('error', reject);
    upstream.once('close', () => reject(new Error('the app ended the connection')));
  });
  upstream.end();
  const { answer, app, head } = await answered
    .catch((cause: unknown) => {
      throw refusal ?? proxiedErrors.FH_APP_UNREACHABLE({ cause });
    })
    .finally(() => clearTimeout(timer));
  if (!app) return sendHead(request, reply, { answer, entry, visit }, deps);

  const client = raw.socket;
  const destroy = () => {
    client.destroy();
    app.destroy();
  };
  app.on('error', destroy);
  app.once('close', destroy);
  client.once('close', destroy);
  try {
    if (client.destroyed || signalAbort.aborted) throw httpErrors.FH_CLIENT_GONE();
    if (answer.headers.upgrade?.toLowerCase() !== 'websocket') throw proxiedErrors.FH_APP_UNREACHABLE();
    entry.becomeStream(() => {
      app.destroy();
      client.end();
    });
  } catch (error) {
    app.off('close', destroy);
    app.destroy();
    throw error;
  }
  visit.becomeStream();
  reply.hijack();
  const answerHeaders = responseHeaders(answer.rawHeaders, 101, {
    host: request.tenant.host,
    requestId: request.id,
    renewal: undefined,
    onCookieRefused: () => {},
  });
  reply.raw.writeHead(101, [...answerHeaders, 'Connection', 'Upgrade', 'Upgrade', 'websocket']);
  reply.raw.flushHeaders();
  // The answer is whole with its head; what follows is none of HTTP's. Its `close` is the socket's.
  reply.raw.end();
  client.setTimeout(silenceMs, destroy);
  client.setKeepAlive(true, keepAliveMs);
  client.setNoDelay(true);
  if (head && head.length > 0) client.write(head);
  const early = (raw as UpgradeRequest)[headKey]!;
  if (early.length > 0) app.write(early);
  client.on('data', entry.touch);
  app.on('data', entry.touch);
  client.pipe(app);
  app.pipe(client);
}
