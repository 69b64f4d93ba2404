import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Who makes each request of a listener. */
export interface SignedIn<Session> {
  /** Looks before the body is read, and, where something is to change, again when it is there: a body may take as long as the listener lets it. */
  guard(scope: FastifyInstance): void;
  /** Undefined: nobody was let in. */
  find(request: FastifyRequest): Session | undefined;
  /** Once more: for a route that reads its body itself, before it acts. Throws what `authenticate` throws. */
  confirm(request: FastifyRequest): Promise<void>;
}

/** `authenticate` reads the session anew and throws for nobody (signed-in.test.ts). */
export function createSignedIn<Session>(
  authenticate: (request: FastifyRequest) => Promise<Session>,
): SignedIn<Session> {
  const sessions = new WeakMap<FastifyRequest, Session>();
  const confirm = async (request: FastifyRequest) => {
    sessions.set(request, await authenticate(request));
  };
  return {
    guard(scope) {
      scope.addHook('onRequest', confirm);
      scope.addHook('preHandler', async (request) => {
        if (request.method !== 'GET' && request.method !== 'HEAD') await confirm(request);
      });
    },
    find: (request) => sessions.get(request),
    confirm,
  };
}
