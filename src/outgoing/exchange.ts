import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { outgoingErrors } from './errors.ts';
import type { Target } from './target.ts';
import type { OutgoingInit } from './types.ts';

/** All header lines of an answer together. */
const mostHeaderBytes = 16_384;
/** Answers of the kind "go on" (1xx) before the real one. */
const mostInterimAnswers = 8;
/** RFC 9110, 15.4. */
const redirects: readonly number[] = [301, 302, 303, 307, 308];
const withoutBody: readonly number[] = [204, 205];

/** These say who is spoken to and how; who calls `fetch` says what. */
const ours =
  /^(?:host|connection|keep-alive|content-length|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|cookie2?|proxy-.*|sec-.*|user-agent)$/i;

/** Throws a TypeError: headers are written by us, not by who names the address. */
export function checkInit({ method = 'GET', headers = {}, body }: OutgoingInit): void {
  for (const name of Object.keys(headers)) {
    if (ours.test(name)) throw new TypeError(`the header ${name} is not the caller's`);
  }
  if (body !== undefined && method === 'GET') throw new TypeError('a GET has no body');
}

/** Sends one request over the connection and reads the head of its answer. Rejects with what the socket or the parser said, or FH_OUTGOING_ANSWER_REFUSED. */
export function exchange(socket: TLSSocket, target: Target, init: OutgoingInit): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest({
      // With a connection of our own there is no agent: no proxy of the environment, and nothing is used again.
      createConnection: () => socket,
      method: init.method ?? 'GET',
      path: target.path,
      headers: {
        accept: '*/*',
        ...init.headers,
        host: `${target.host.includes(':') ? `[${target.host}]` : target.host}${target.port === 443 ? '' : `:${target.port}`}`,
        'user-agent': 'Freehold',
        // Nothing that grows when it is unpacked.
        'accept-encoding': 'identity',
        connection: 'close',
        ...(init.body !== undefined && { 'content-length': Buffer.byteLength(init.body) }),
      },
      maxHeaderSize: mostHeaderBytes,
      insecureHTTPParser: false,
    });
    let interim = 0;
    request.on('information', () => {
      if (++interim <= mostInterimAnswers) return;
      // The real answer may have come with them, and would be heard first.
      reject(new Error('too many interim answers'));
      request.destroy();
    });
    // Whatever is said after that the request is over is of no interest.
    request.on('error', reject);
    // After a 101 that nobody asked for, Node.js closes the connection without a word.
    request.on('close', () => reject(new Error('the connection was closed without an answer')));
    request.once('response', (answer) => {
      answer.on('error', () => {});
      try {
        checkHead(answer);
        resolve(answer);
      } catch (error) {
        request.destroy();
        reject(error);
      }
    });
    request.end(init.body);
  });
}

/** What no caller wants to see. */
function checkHead({ statusCode = 0, headers }: IncomingMessage): void {
  if (redirects.includes(statusCode)) throw outgoingErrors.FH_OUTGOING_REDIRECTED();
  const refuse = (detail: string) => outgoingErrors.FH_OUTGOING_ANSWER_REFUSED({ detail });
  if (statusCode < 200 || (statusCode >= 300 && statusCode < 400) || statusCode > 599)
    throw refuse('its status has no meaning here');
  const coding = headers['content-encoding'];
  if (coding !== undefined && !/^\s*(?:identity)?\s*$/i.test(coding)) throw refuse('it is compressed');
}

/** The answer as a `Response` whose body is read as it comes, up to `maxBytes`. `explain` says what an error of the connection means; `onEnd` is called once, when nothing more comes. */
export function toResponse(
  answer: IncomingMessage,
  { maxBytes, explain, onEnd }: { maxBytes: number; explain: (error: unknown) => unknown; onEnd: () => void },
): Response {
  const status = answer.statusCode!;
  const headers = new Headers();
  for (let index = 0; index < answer.rawHeaders.length; index += 2) {
    const name = answer.rawHeaders[index]!;
    if (!/^set-cookie2?$/i.test(name)) headers.append(name, answer.rawHeaders[index + 1]!);
  }
  if (withoutBody.includes(status)) {
    answer.destroy();
    onEnd();
    return new Response(null, { status, headers });
  }
  const tooLarge = () => outgoingErrors.FH_OUTGOING_TOO_LARGE({ detail: `it is longer than ${maxBytes} bytes` });
  if (Number(answer.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();

  const chunks = (answer as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let bytes = 0;
  const end = () => {
    answer.destroy();
    onEnd();
  };
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      try {
        const { done, value } = await chunks.next();
        // Node.js ends a body that is cut off with an error; this is for the day it does not.
        if (done && !answer.complete) throw new Error('the answer is cut off');
        if (done) {
          controller.close();
          return end();
        }
        bytes += value.byteLength;
        if (bytes > maxBytes) throw tooLarge();
        controller.enqueue(new Uint8Array(value));
      } catch (error) {
        controller.error(explain(error));
        end();
      }
    },
    cancel: end,
  };
  return new Response(new ReadableStream(source, { highWaterMark: 0 }), { status, headers });
}
