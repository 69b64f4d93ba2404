import type { IncomingMessage, ServerResponse } from 'node:http';

/** The requests that are being answered now, each with a signal that ends with it. */
export interface Lifetimes {
  begin(request: IncomingMessage, response: ServerResponse): void;
  /** Aborts when the client is gone before the answer is complete, and by `abortAll`. */
  signalOf(request: IncomingMessage): AbortSignal;
  /** The answer was sent or the client is gone: `close` of the response has been, and will not come again. */
  isOver(request: IncomingMessage): boolean;
  responses(): Iterable<ServerResponse>;
  abortAll(reason: Error): void;
  readonly count: number;
}

interface Life {
  readonly response: ServerResponse;
  /** Made when somebody asks for it. */
  abort: AbortController | undefined;
  /** Why it is aborted; also for a signal that is asked for too late. */
  reason: Error | undefined;
}

export function createLifetimes(): Lifetimes {
  const lives = new Map<IncomingMessage, Life>();
  const ended = new WeakMap<IncomingMessage, Life>();

  const end = (life: Life, reason: Error) => {
    life.reason ??= reason;
    life.abort?.abort(reason);
  };

  return {
    begin: (request, response) => {
      const life: Life = { response, abort: undefined, reason: undefined };
      lives.set(request, life);
      response.once('close', () => {
        lives.delete(request);
        ended.set(request, life);
        if (!isComplete(request, response)) end(life, new Error('the client went away'));
      });
    },
    signalOf: (request) => {
      const life = lives.get(request) ?? ended.get(request);
      if (!life) return AbortSignal.abort(new Error('the request is not known'));
      life.abort ??= new AbortController();
      if (life.reason) life.abort.abort(life.reason);
      return life.abort.signal;
    },
    isOver: (request) => !lives.has(request),
    *responses() {
      for (const { response } of lives.values()) yield response;
    },
    abortAll: (reason) => {
      for (const life of lives.values()) end(life, reason);
    },
    get count() {
      return lives.size;
    },
  };
}

/** HTTP/2 says of a broken stream that it was finished, so there it counts that the answer was ended by us. */
function isComplete(request: IncomingMessage, response: ServerResponse): boolean {
  return request.httpVersionMajor >= 2 ? response.writableEnded : response.writableFinished;
}
