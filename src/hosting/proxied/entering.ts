import type { Agent, ClientRequest } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { httpErrors } from '#src/http/index.ts';
import { FreeholdError, toFreeholdError } from '#src/kernel/index.ts';
import { proxiedErrors } from './errors.ts';
import type { AppProcesses, Visit } from './types.ts';
import { NotConnected, openUpstream, whenConnected } from './upstream.ts';

export interface Reached {
  readonly upstream: ClientRequest;
  readonly visit: Visit;
}

/**
 * A connection to the tenant's process, which is woken for it. When nobody listens there any more, once to its next life: of this request the app has not seen
 * a byte. The visit lasts as long as the answer.
 */
export async function connectToApp(
  request: FastifyRequest,
  reply: FastifyReply,
  headers: readonly string[],
  { processes, agent }: { readonly processes: AppProcesses; readonly agent: Agent | false },
): Promise<Reached> {
  const { signalAbort } = request;
  const { tenantId } = request.tenant;
  for (let attempt = 1; ; attempt++) {
    const visit = await enter(processes, request);
    try {
      if (signalAbort.aborted) throw httpErrors.FH_CLIENT_GONE();
      const upstream = openUpstream({ agent, visit, method: request.method, target: request.originalUrl, headers });
      await whenConnected(upstream);
      if (signalAbort.aborted) {
        upstream.on('error', () => {}).destroy();
        throw httpErrors.FH_CLIENT_GONE();
      }
      reply.raw.once('close', visit.leave);
      return { upstream, visit };
    } catch (error) {
      visit.leave();
      if (!(error instanceof NotConnected)) throw error;
      processes.forget(tenantId, visit.instanceId);
      if (attempt === 2) throw proxiedErrors.FH_APP_UNREACHABLE({ cause: error });
    }
  }
}

/** What users may know of why an app is not there; the rest is for whoever runs it. */
const publicReasons: Readonly<Record<string, { title: string; hint: string; retryAfterSeconds: number }>> = {
  FH_APP_FAILED: {
    title: 'This app does not start',
    hint: 'Try again in a minute. Whoever runs the service finds the reason in the log of the app.',
    retryAfterSeconds: 30,
  },
  FH_APP_BUSY: {
    title: 'There is no room for this app at the moment',
    hint: 'Try again in a moment.',
    retryAfterSeconds: 1,
  },
  FH_RPC_TIMEOUT: {
    title: 'This app takes long to start',
    hint: 'Try again in a moment.',
    retryAfterSeconds: 5,
  },
};

async function enter(processes: AppProcesses, request: FastifyRequest): Promise<Visit> {
  try {
    return await processes.visit(request.tenant.tenantId, request.signalAbort);
  } catch (thrown) {
    if (request.signalAbort.aborted) throw httpErrors.FH_CLIENT_GONE();
    const error = toFreeholdError(thrown);
    const { title, hint, retryAfterSeconds } = publicReasons[error.code] ?? {
      ...error,
      hint: 'Try again in a moment.',
      retryAfterSeconds: 5,
    };
    if (error.status !== 503) throw error;
    throw new FreeholdError(
      error.code,
      { status: 503, title, retry: 'later' },
      { hint, retryAfterSeconds, cause: error },
    );
  }
}
