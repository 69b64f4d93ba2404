import type { FastifyPluginAsync } from 'fastify';
import { createConnections } from './connections.ts';
import { passOn } from './pass.ts';
import type { ProxiedDeps, Renew } from './types.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The request goes to a process of its tenant: who may make it is decided per tenant. Default false. */
    passesOn?: boolean;
  }
}

/** Every target that is not below `/-/` is routed to this one; the app gets what was received. */
export const proxiedRoute = '/';

/** Passes everything of tenants whose app is a process on to it. Register it on an instance that takes the methods of `methods`. */
export function createProxiedPlugin(deps: ProxiedDeps, methods: readonly string[], renew: Renew): FastifyPluginAsync {
  return async (fastify) => {
    const connections = createConnections();
    const passing = { ...deps, connections, renew };
    fastify.addHook('onClose', async () => connections.destroy());
    fastify.route({
      method: [...methods],
      url: proxiedRoute,
      exposeHeadRoute: false,
      config: { operation: 'app.request', passesOn: true },
      // Before the framework looks at the content, which is none of its business.
      onRequest: (request, reply, done) => {
        passOn(request, reply, { identity: undefined, isWithToken: false }, passing).catch(done);
      },
      handler: () => {
        throw new Error('a request was not passed on');
      },
    });
  };
}
