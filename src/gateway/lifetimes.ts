import type { IncomingMessage, ServerResponse } from 'node:http';
import { Cancellation, type CancelSignal } from '#src/kernel/index.ts';

/** The requests that are being answered now, each with a signal that ends with it. */
export interface Lifetimes {
  begin(request: IncomingMessage, response: ServerResponse): void;
  /** Aborts when the client is gone before the answer is complete, and by `abortAll`. */
  signalOf(request: IncomingMessage): CancelSignal;
  /** The answer was sent or the client is gone: `close` of the response has been, and will not come again. */
  isOver(request: IncomingMessage): boolean;
  /** Called once, when it is over; never when it is over already. */
  atEnd(request: IncomingMessage, act: () => void): void;
  responses(): Iterable<ServerResponse>;
  abortAll(reason: Error): void;
  readonly count: number;
}

class Life extends Cancellation {
  readonly response: ServerResponse;
  isOver = false;
  atEnd: (() => void)[] = [];

  constructor(response: ServerResponse) {
    super();
    this.response = response;
  }
}

/** On the request itself: a WeakMap of all requests would cost the garbage collector more than anything else that we do with them. */
const lifeKey = Symbol('life');
type LivingRequest = IncomingMessage & { [lifeKey]?: Life };

export function createLifetimes(): Lifetimes {
  const lives = new Set<Life>();

  return {
    begin: (request, response) => {
      const life = new Life(response);
      (request as LivingRequest)[lifeKey] = life;
      lives.add(life);
      response.on('close', () => {
        lives.delete(life);
        life.isOver = true;
        for (const act of life.atEnd) act();
        if (!isComplete(request, response)) life.abort(() => new Error('the client went away'));
      });
    },
    signalOf: (request) => {
      const life = (request as LivingRequest)[lifeKey];
      if (life) return life;
      const unknown = new Cancellation();
      unknown.abort(new Error('the request is not known'));
      return unknown;
    },
    isOver: (request) => (request as LivingRequest)[lifeKey]?.isOver ?? true,
    atEnd: (request, act) => void (request as LivingRequest)[lifeKey]?.atEnd.push(act),
    *responses() {
      for (const { response } of lives) yield response;
    },
    abortAll: (reason) => {
      for (const life of lives) life.abort(reason);
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
