import { type Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { kernelErrors } from '#src/kernel/index.ts';
import type { Visit } from './types.ts';

const maxHeaderBytes = 65_536;

export interface UpstreamOptions {
  readonly agent: Agent | false;
  readonly visit: Visit;
  readonly method: string;
  /** As it was received. */
  readonly target: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
}

/** A request to the app, of which nothing is sent before `whenConnected`. Throws FH_INVALID_REQUEST when it cannot be written down. */
export function openUpstream({ agent, visit, method, target, headers }: UpstreamOptions): ClientRequest {
  try {
    return requestHttp({
      agent,
      // Only tells connections of one instance from those of others.
      host: visit.instanceId,
      socketPath: visit.socketPath,
      method,
      path: target,
      headers: headers as string[],
      setHost: false,
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
    });
  } catch (cause) {
    throw kernelErrors.FH_INVALID_REQUEST({ detail: 'The address is not well formed.', cause });
  }
}

/** Nothing was sent yet: the app has not seen a byte of it. */
export class NotConnected extends Error {
  constructor(cause: unknown) {
    super('the app could not be reached', { cause });
  }
}

/** Resolves when bytes can be sent; rejects with `NotConnected`. */
export function whenConnected(upstream: ClientRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(new NotConnected(error));
    upstream.once('error', failed);
    const connected = () => {
      upstream.off('error', failed);
      resolve();
    };
    upstream.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', connected);
      else connected();
    });
  });
}

/** The head of the final answer; rejects when there is none. */
export function answerOf(upstream: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    upstream.once('response', resolve);
    // Stays: an error after the head is one of the answer as well, and is seen there.
    upstream.on('error', reject);
    upstream.once('close', () => reject(new Error('the app ended the connection')));
  });
}
