import type { FastifyInstance } from 'fastify';
import { openEventStream } from '#src/http/index.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { OperationState } from '#src/tenants/index.ts';
import {
  type ConsoleApiDeps,
  idSchema,
  type OperationParams,
  objectSchema,
  operationParams,
  stateList,
} from './api.ts';

type Params = { Params: OperationParams };

/** Operations: what runs, what ran, and what to do with one that failed. */
export function operationRoutes(deps: ConsoleApiDeps) {
  const { lifecycle, actorOf, requireStepUp } = deps;

  return async (app: FastifyInstance): Promise<void> => {
    app.get<{ Querystring: { tenantId?: TenantId; state?: string; limit?: number; offset?: number } }>(
      '/api/operations',
      {
        config: { operation: 'operation.list' },
        schema: {
          querystring: objectSchema({
            tenantId: idSchema('ten'),
            state: stateList(['running', 'succeeded', 'failed', 'undone']),
            limit: { type: 'integer', minimum: 1, maximum: 500 },
            offset: { type: 'integer', minimum: 0, maximum: 1_000_000 },
          }),
        },
      },
      async ({ query: { state, ...query } }) => ({
        operations: await lifecycle.listOperations({
          ...query,
          ...(state ? { states: state.split(',') as OperationState[] } : {}),
        }),
      }),
    );

    app.get<Params>(
      '/api/operations/:operationId',
      { config: { operation: 'operation.get' }, schema: { params: operationParams } },
      (request) => lifecycle.getOperation(request.params.operationId),
    );

    app.get<Params>(
      '/api/operations/:operationId/events',
      { config: { operation: 'operation.watch' }, schema: { params: operationParams } },
      async (request, reply) => {
        const { operationId } = request.params;
        // Refused before the stream begins, when there is no such operation.
        await lifecycle.getOperation(operationId);
        const stream = openEventStream(request, reply, { signal: deps.signal });
        // Changes while one is being read make one more reading, not one each.
        let isReading = false;
        let again = true;
        const send = async (): Promise<void> => {
          again = true;
          if (isReading) return;
          isReading = true;
          try {
            while (again) {
              again = false;
              const operation = await lifecycle.getOperation(operationId);
              stream.send({ type: 'operation', data: operation });
              if (operation.state !== 'running') stream.close();
            }
          } catch {
            // The client comes back and asks for the whole state.
            stream.close();
          } finally {
            isReading = false;
          }
        };
        const unwatch = lifecycle.watchOperation(operationId, () => void send());
        stream.closed.then(unwatch);
        await send();
        return reply;
      },
    );

    for (const [verb, act] of [
      ['retry', lifecycle.retryOperation],
      ['cancel', lifecycle.cancelOperation],
    ] as const) {
      app.post<Params>(
        `/api/operations/:operationId/${verb}`,
        { config: { operation: `operation.${verb}` }, schema: { params: operationParams, body: objectSchema({}) } },
        async (request, reply) => {
          const actor = actorOf(request);
          // What stopped may be a deletion, and it was somebody else who showed who they are.
          if (verb === 'retry') await requireStepUp(request);
          const operation = await act(request.params.operationId, actor);
          reply.code(202);
          return { operation };
        },
      );
    }

    app.post<Params>(
      '/api/operations/:operationId/secret-result',
      {
        config: { operation: 'operation.take_secret' },
        schema: { params: operationParams, body: objectSchema({}) },
      },
      async (request, reply) => {
        reply.header('cache-control', 'no-store');
        return lifecycle.takeSecretResult(request.params.operationId, actorOf(request));
      },
    );
  };
}
