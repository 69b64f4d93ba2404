import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { httpErrors } from '#src/http/index.ts';
import { createConnections } from './connections.ts';
import { createIdentityTokens } from './identity-token.ts';
import { type PassDeps, passOn } from './pass.ts';
import { createTraffic } from './traffic.ts';
import type { AppProcesses, Proxied, ProxiedDeps, Renew } from './types.ts';
import { createUnderWay, type UnderWay } from './under-way.ts';
import { isUpgrade, passUpgradeOn } from './upgrade.ts';
import { nobodyOf } from './visitors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The request goes to a process of its tenant: who may make it is decided per tenant. Default false. */
    passesOn?: boolean;
  }
}

/** Every target that is not below `/-/` is routed to this one; the app gets what was received. */
export const proxiedRoute = '/';

export function createProxied(deps: ProxiedDeps): Proxied {
  const underWay = createUnderWay(deps);
  return {
    plugin: (methods, renew) => createPlugin(deps, underWay, methods, renew),
    recheck: underWay.recheck,
    stop: underWay.endStreams,
  };
}

/** Nothing that is not a user wakes an app. @returns whether it was answered without it; throws FH_NOT_FOUND */
function answerForSleeping(request: FastifyRequest, reply: FastifyReply, processes: AppProcesses): boolean {
  const { tenant, session, apiToken, method, originalUrl: target, headers } = request;
  if (session || apiToken || processes.isAwake(tenant.tenantId)) return false;
  const nobody = nobodyOf({ method, target, headers }, tenant.process!);
  if (!nobody) return false;
  request.routeConfig = { ...request.routeConfig, operation: 'app.asleep', isQuiet: true };
  if (nobody === 'probe') throw httpErrors.FH_NOT_FOUND();
  void reply.send({ status: 'asleep' });
  return true;
}

function createPlugin(
  deps: ProxiedDeps,
  underWay: UnderWay,
  methods: readonly string[],
  renew: Renew,
): FastifyPluginAsync {
  return async (fastify) => {
    const connections = createConnections();
    const passing: PassDeps = {
      ...deps,
      connections,
      renew,
      underWay,
      tokens: createIdentityTokens(deps),
      cookieWarnings: new Set(),
    };
    const traffic = createTraffic(deps.traffic, deps.clock);
    const pass = async (request: FastifyRequest, reply: FastifyReply) => {
      await traffic.admit(request);
      const startedMs = deps.clock.monotonicMs();
      try {
        await (isUpgrade(request.raw) ? passUpgradeOn : passOn)(request, reply, passing);
      } catch (error) {
        traffic.count(request, startedMs, { error });
        throw error;
      }
      traffic.count(request, startedMs, { status: reply.raw.statusCode });
    };
    fastify.addHook('onClose', async () => connections.destroy());
    fastify.route({
      method: [...methods],
      url: proxiedRoute,
      exposeHeadRoute: false,
      config: { operation: 'app.request', passesOn: true },
      // Before the framework looks at the content, which is none of its business.
      onRequest: (request, reply, done) => {
        if (answerForSleeping(request, reply, deps.processes)) return;
        pass(request, reply).catch(done);
      },
      handler: () => {
        throw new Error('a request was not passed on');
      },
    });
  };
}
