import type { FastifyInstance, FastifyRequest } from 'fastify';
import { kernelErrors } from '#src/kernel/index.ts';
import {
  type Edition,
  type OperationInputs,
  recoveryPoints,
  type TenantQuery,
  type TenantState,
  tenantStates,
  type WantedMoment,
  type WantedResidency,
} from '#src/tenants/index.ts';
import {
  type ConsoleApiDeps,
  objectSchema,
  type Started,
  stateList,
  tenantParams,
  toView,
  withoutZero,
} from './api.ts';
import { consoleErrors } from './errors.ts';

const text = (maxLength: number) => ({ type: 'string', maxLength, pattern: withoutZero }) as const;
/** Optional where it can be taken back, checked wherever it is sent. */
const confirm = text(64);

/** Their shape is checked by the registry, whose refusals say what is one. */
const placeList = { type: 'array', items: text(100), maxItems: 100 } as const;
const residency = objectSchema({ home: placeList, copies: placeList }, ['home']);

type Params = { Params: { tenantId: string } };

/** Tenants: list, show, create, and everything that is done to one. Each change answers 202 with its operation. */
export function tenantRoutes(deps: ConsoleApiDeps) {
  const { lifecycle, actorOf, requireStepUp } = deps;

  async function start<
    K extends
      | 'suspend'
      | 'resume'
      | 'rename'
      | 'swap'
      | 'set'
      | 'update'
      | 'move'
      | 'clone'
      | 'export'
      | 'restore'
      | 'delete'
      | 'destroy',
  >(
    kind: K,
    request: FastifyRequest<Params>,
    input: OperationInputs[K],
    { idOrName = request.params.tenantId, isDangerous = false, asksAgain = false } = {},
  ): Promise<Started> {
    const tenant = await lifecycle.getTenant(idOrName);
    const confirmed = (request.body as { confirm?: string } | undefined)?.confirm;
    if ((isDangerous && confirmed === undefined) || (confirmed !== undefined && confirmed !== tenant.name)) {
      throw consoleErrors.FH_CONFIRMATION_MISSING({ detail: `to ${kind} ${tenant.name}` });
    }
    if (isDangerous || asksAgain) await requireStepUp(request);
    return { operation: await lifecycle.startOperation(kind, tenant.tenantId, input, actorOf(request)) };
  }

  return async (app: FastifyInstance): Promise<void> => {
    app.get<{
      Querystring: Omit<TenantQuery, 'states'> & { state?: string };
    }>(
      '/api/tenants',
      {
        config: { operation: 'tenant.list' },
        schema: {
          querystring: objectSchema({
            search: text(100),
            state: stateList(tenantStates),
            sort: { enum: ['name', 'createdAt', 'lastUsedAt', 'sizeBytes', 'state'] },
            descending: { type: 'boolean' },
            limit: { type: 'integer', minimum: 1, maximum: 500 },
            offset: { type: 'integer', minimum: 0, maximum: 1_000_000 },
          }),
        },
      },
      async ({ query: { state, ...query } }) => {
        const page = await lifecycle.listTenants({
          ...query,
          ...(state ? { states: state.split(',') as TenantState[] } : {}),
        });
        return { tenants: page.tenants.map((tenant) => toView(deps, tenant)), total: page.total };
      },
    );

    app.get<Params>(
      '/api/tenants/:tenantId',
      { config: { operation: 'tenant.get' }, schema: { params: tenantParams } },
      async (request) => {
        const tenant = await lifecycle.getTenant(request.params.tenantId);
        return {
          ...toView(deps, tenant),
          deletionGraceDays: lifecycle.deletionGraceDays,
          lastMove: await lifecycle.findMove(tenant),
        };
      },
    );

    app.post<{ Body: OperationInputs['create'] }>(
      '/api/tenants',
      {
        config: { operation: 'tenant.create' },
        schema: {
          body: objectSchema(
            {
              // Lengths and shapes are checked by the registry, whose refusals say what to do.
              name: text(300),
              title: text(1_000),
              adminEmail: text(1_000),
              app: text(64),
              edition: { enum: ['standard', 'private-cloud'] },
              demoVariant: { type: 'integer', minimum: 0, maximum: 9 },
              residency,
            },
            ['name', 'adminEmail'],
          ),
        },
      },
      async (request, reply) => {
        reply.code(202);
        return { operation: await lifecycle.startOperation('create', undefined, request.body, actorOf(request)) };
      },
    );

    const action = (kind: string, properties: Record<string, object>, required: readonly string[] = []) => ({
      config: { operation: `tenant.${kind}` },
      schema: { params: tenantParams, body: objectSchema({ confirm, ...properties }, required) },
    });

    app.post<Params & { Body: { reason?: string } }>(
      '/api/tenants/:tenantId/suspend',
      action('suspend', { reason: text(500) }),
      async (request, reply) => {
        reply.code(202);
        return start('suspend', request, { reason: request.body.reason });
      },
    );

    app.post<Params>('/api/tenants/:tenantId/resume', action('resume', {}), async (request, reply) => {
      reply.code(202);
      return start('resume', request, {});
    });

    app.post<Params & { Body: { newName: string } }>(
      '/api/tenants/:tenantId/rename',
      action('rename', { newName: text(300) }, ['newName']),
      async (request, reply) => {
        reply.code(202);
        return start('rename', request, { newName: request.body.newName });
      },
    );

    app.post<Params & { Body: { other: string } }>(
      '/api/tenants/:tenantId/swap',
      action('swap', { other: text(64) }, ['other']),
      async (request, reply) => {
        const { tenantId: otherTenantId } = await lifecycle.getTenant(request.body.other);
        // It can be taken back, but not what people type into somebody else's tenant meanwhile.
        await requireStepUp(request);
        reply.code(202);
        return start('swap', request, { otherTenantId });
      },
    );

    app.post<Params & { Body: { version: string } }>(
      '/api/tenants/:tenantId/update',
      action('update', { version: text(64) }, ['version']),
      async (request, reply) => {
        reply.code(202);
        return start('update', request, { version: request.body.version });
      },
    );

    app.post<Params & { Body: { edition?: Edition; undo?: boolean } }>(
      '/api/tenants/:tenantId/move',
      action('move', { edition: { enum: ['standard', 'private-cloud'] }, undo: { type: 'boolean' } }),
      async (request, reply) => {
        const { edition, undo = false } = request.body;
        if ((edition === undefined) !== undo)
          throw kernelErrors.FH_INVALID_REQUEST({ detail: 'one of edition and undo is needed' });
        reply.code(202);
        return start('move', request, undo ? { undo } : { edition: edition! }, { asksAgain: true });
      },
    );

    app.post<Params>(
      '/api/tenants/:tenantId/move/confirm',
      { config: { operation: 'tenant.move.confirm' } },
      async (request, reply) => {
        await requireStepUp(request);
        await lifecycle.confirmMove(await lifecycle.getTenant(request.params.tenantId), actorOf(request));
        return reply.code(204).send();
      },
    );

    app.put<Params & { Body: { residency: WantedResidency | null } }>(
      '/api/tenants/:tenantId/residency',
      {
        config: { operation: 'tenant.residency' },
        schema: {
          params: tenantParams,
          body: objectSchema({ residency: { anyOf: [residency, { type: 'null' }] } }, ['residency']),
        },
      },
      async (request, reply) => {
        await requireStepUp(request);
        const tenant = await lifecycle.getTenant(request.params.tenantId);
        await lifecycle.changeResidency(tenant, request.body.residency, actorOf(request));
        return reply.code(204).send();
      },
    );

    app.post<Params & { Body: OperationInputs['set'] }>(
      '/api/tenants/:tenantId/set',
      action('set', { recoveryPoint: { enum: recoveryPoints } }, ['recoveryPoint']),
      async (request, reply) => {
        reply.code(202);
        return start('set', request, { recoveryPoint: request.body.recoveryPoint });
      },
    );

    app.post<Params & { Body: { newName: string; title?: string } }>(
      '/api/tenants/:tenantId/clone',
      action('clone', { newName: text(300), title: text(1_000) }, ['newName']),
      async (request, reply) => {
        reply.code(202);
        const { newName, title } = request.body;
        // A copy has everybody's data and passwords, and nobody's second factor.
        return start('clone', request, { newName, title }, { asksAgain: true });
      },
    );

    app.post<Params & { Body: { newName?: string; title?: string; moment: WantedMoment; inPlace?: boolean } }>(
      '/api/tenants/:tenantId/restore',
      action(
        'restore',
        {
          newName: text(300),
          title: text(1_000),
          inPlace: { type: 'boolean' },
          // Which fields belong together, and that a time has been, the registry checks, whose refusals say what to do.
          moment: objectSchema(
            {
              kind: { enum: ['time', 'name', 'xid', 'lsn', 'before'] },
              time: text(64),
              name: text(300),
              xid: text(32),
              lsn: text(32),
              after: text(64),
              event: text(40),
            },
            ['kind'],
          ),
        },
        ['moment'],
      ),
      async (request, reply) => {
        const { newName, title, inPlace = false } = request.body;
        // The tenant may be deleted, and may have had another name then.
        const { tenantId, moment } = await lifecycle.findRestoreSource(request.params.tenantId, request.body.moment);
        reply.code(202);
        const input = { newName, title, moment, inPlace };
        return start('restore', request, input, { idOrName: tenantId, isDangerous: inPlace, asksAgain: true });
      },
    );

    app.post<Params>('/api/tenants/:tenantId/export', action('export', {}), async (request, reply) => {
      reply.code(202);
      return start('export', request, {});
    });

    app.post<Params & { Body: { now?: boolean } }>(
      '/api/tenants/:tenantId/delete',
      action('delete', { now: { type: 'boolean' } }),
      async (request, reply) => {
        const { now = false } = request.body;
        const { state } = await lifecycle.getTenant(request.params.tenantId);
        reply.code(202);
        // Deleted already, and its key is to go before its time.
        if (now && state === 'deleted') return start('destroy', request, {}, { isDangerous: true });
        return start('delete', request, { now }, { isDangerous: true });
      },
    );
  };
}
