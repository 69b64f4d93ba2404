import type { ClientRequest, IncomingMessage, InformationEvent, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import { discardContent, httpErrors } from '#src/http/index.ts';
import { passingTrailers } from './request-headers.ts';

/**
 * Sends a request's content on as it comes, no faster than the app takes it. Never waits for the answer, which may come first.
 * @param onExcess called once, when more came than the app may be sent; nothing more is
 */
export function sendContent(
  request: IncomingMessage,
  upstream: ClientRequest,
  maxBytes: number,
  onExcess: (error: Error) => void,
): void {
  let bytes = 0;
  const send = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      stop();
      onExcess(httpErrors.FH_BODY_TOO_LARGE());
      return;
    }
    if (upstream.write(chunk)) return;
    request.pause();
    upstream.once('drain', () => request.resume());
  };
  const finish = () => {
    stop();
    const trailers = passingTrailers(request.rawTrailers);
    if (trailers) upstream.addTrailers(trailers as OutgoingHttpHeaders);
    upstream.end();
  };
  const stop = () => {
    request.off('data', send);
    request.off('end', finish);
  };
  upstream.once('close', stop);
  request.on('error', () => {});
  request.on('data', send);
  request.on('end', finish);
}

const maxInformation = 16;

/** 100 to who asked for it, and early hints; what else is said before an answer is between the app and us. RFC 9110, 15.2; RFC 8297. */
export function passInformation(upstream: ClientRequest, request: IncomingMessage, response: ServerResponse): void {
  let count = 0;
  const isHttp10 = request.httpVersionMajor === 1 && request.httpVersionMinor === 0;
  upstream.on('information', ({ statusCode, headers }: InformationEvent) => {
    if (isHttp10 || response.headersSent || response.destroyed || ++count > maxInformation) return;
    if (statusCode === 100 && request.headers.expect !== undefined) response.writeContinue();
    else if (statusCode === 102) response.writeInformation(102);
    else if (statusCode === 103 && headers.link !== undefined) response.writeInformation(103, { link: headers.link });
  });
}

/** Sends an answer's content on as it comes, no faster than the client takes it. What broke off is cut. */
export function receiveContent(answer: IncomingMessage, request: IncomingMessage, response: ServerResponse): void {
  if (answer.destroyed && !answer.complete) {
    cut(response);
    return;
  }
  answer.on('data', (chunk: Buffer) => {
    if (response.write(chunk)) return;
    answer.pause();
    response.once('drain', () => answer.resume());
  });
  answer.once('end', () => {
    const trailers = passingTrailers(answer.rawTrailers);
    if (trailers) response.addTrailers(trailers as OutgoingHttpHeaders);
    endOf(request, response);
  });
  answer.once('close', () => {
    if (!answer.complete && !response.writableEnded) cut(response);
  });
  // A first event must not wait for the second; an answer that is there at once goes out in one piece.
  setImmediate(() => {
    if (!response.writableEnded && !response.destroyed) response.flushHeaders();
  });
}

/** Ends a whole answer; a client that is still sending gets to read it (RFC 9112, 9.6). */
function endOf(request: IncomingMessage, response: ServerResponse): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  if (!request.complete && !stream) {
    discardContent(request, () => response.end());
    return;
  }
  if (!request.complete) response.once('finish', () => stream!.close(constants.NGHTTP2_NO_ERROR));
  response.end();
}

/** Ends an answer so that nobody takes it for a whole one (RFC 9112, 8; RFC 9113, 5.4.2). */
export function cut(response: ServerResponse): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  if (stream) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.destroy();
}
