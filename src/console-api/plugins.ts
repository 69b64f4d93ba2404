import { buffer } from 'node:stream/consumers';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AuditEvent } from '#src/audit/index.ts';
import { kernelErrors, type TenantId } from '#src/kernel/index.ts';
import type { Plugin, PluginEnd, PluginRegistry, PluginRuns } from '#src/plugins/index.ts';
import { longestPage } from '#src/processes/index.ts';
import type { Tenant } from '#src/tenants/types.ts';
import { objectSchema, tenantParams, withoutZero } from './api.ts';

/** A plugin of a tenant as commands see it; moments are ISO 8601. */
export interface PluginView {
  readonly name: string;
  readonly version: string;
  readonly title: string;
  readonly digest: string;
  /** `stopped`: the tenant has no longer the edition for it. */
  readonly state: Plugin['state'] | 'stopped';
  readonly capabilities: Plugin['manifest']['capabilities'];
  readonly limits: Plugin['manifest']['limits'];
  readonly addedAt: string;
  readonly addedBy: string;
  readonly nextRunAt: string | undefined;
  readonly failures: number;
  readonly last:
    | { readonly at: string; readonly trigger: string; readonly outcome: string; readonly reason?: string }
    | undefined;
}

export interface PluginDeps {
  readonly registry: PluginRegistry;
  readonly runs: Pick<PluginRuns, 'run'>;
  readonly readLog: (tenantId: TenantId, last: number) => Promise<readonly string[]>;
  /** By id or name. FH_TENANT_NOT_FOUND. */
  readonly getTenant: (idOrName: string) => Promise<Tenant>;
  readonly recordAudit: (event: AuditEvent) => Promise<void>;
  readonly actorOf: (request: FastifyRequest) => string;
  readonly maxBytes: number;
}

type Params = { Params: { tenantId: string } };
type Named = { Params: { tenantId: string; name: string } };

/** Custom plugins. Only on the command socket: whoever adds one puts a program on this machine. */
export function pluginRoutes(deps: PluginDeps) {
  const { registry, runs, getTenant, actorOf } = deps;
  const name = { type: 'string', minLength: 1, maxLength: 64, pattern: withoutZero } as const;
  const params = objectSchema({ ...tenantParams.properties, name }, ['tenantId', 'name']);
  return async (app: FastifyInstance): Promise<void> => {
    app.get<Params>(
      '/api/tenants/:tenantId/plugins',
      { config: { operation: 'plugin.list' }, schema: { params: tenantParams } },
      async (request) => {
        const tenant = await getTenant(request.params.tenantId);
        return { plugins: (await registry.list(tenant.tenantId)).map((plugin) => viewOf(plugin, tenant)) };
      },
    );

    app.delete<Named & { Querystring: { keepState?: boolean } }>(
      '/api/tenants/:tenantId/plugins/:name',
      {
        config: { operation: 'plugin.remove' },
        schema: { params, querystring: objectSchema({ keepState: { type: 'boolean' } }) },
      },
      async (request, reply) => {
        const tenant = await getTenant(request.params.tenantId);
        const { keepState = false } = request.query;
        await registry.remove(tenant, request.params.name, { actor: actorOf(request), keepState });
        return reply.code(204).send();
      },
    );

    app.post<Named & { Body: { state: 'enabled' | 'disabled' } }>(
      '/api/tenants/:tenantId/plugins/:name/state',
      {
        config: { operation: 'plugin.set_state' },
        schema: { params, body: objectSchema({ state: { enum: ['enabled', 'disabled'] } }, ['state']) },
      },
      async (request) => {
        const tenant = await getTenant(request.params.tenantId);
        const plugin = await registry.setState(tenant, request.params.name, request.body.state, actorOf(request));
        return { plugin: viewOf(plugin, tenant) };
      },
    );

    app.post<Named & { Body: { payload?: string } }>(
      '/api/tenants/:tenantId/plugins/:name/run',
      {
        config: { operation: 'plugin.run' },
        schema: { params, body: objectSchema({ payload: { type: 'string', maxLength: 65_536 } }) },
      },
      async (request): Promise<PluginEnd> => {
        const { tenantId } = await getTenant(request.params.tenantId);
        const plugin = await registry.get(tenantId, request.params.name);
        const payload = parsePayload(request.body.payload);
        const details = { plugin: plugin.name, version: plugin.version };
        await deps.recordAudit({ name: 'plugin.run', actor: actorOf(request), subject: tenantId, tenantId, details });
        return runs.run(plugin, { trigger: 'manual', ...(payload !== undefined && { payload }) });
      },
    );

    // A POST, because it leaves a mark.
    app.post<Params & { Body: { lines?: number } }>(
      '/api/tenants/:tenantId/plugin-log',
      {
        config: { operation: 'plugin.log' },
        schema: {
          params: tenantParams,
          body: objectSchema({ lines: { type: 'integer', minimum: 1, maximum: longestPage } }),
        },
      },
      async (request, reply) => {
        const { tenantId } = await getTenant(request.params.tenantId);
        await deps.recordAudit({ name: 'plugin.log_read', actor: actorOf(request), subject: tenantId, tenantId });
        reply.header('cache-control', 'no-store');
        return { lines: await deps.readLog(tenantId, request.body.lines ?? 100) };
      },
    );

    app.register(async (uploads) => {
      uploads.addContentTypeParser('application/x-tar', (_request, payload, done) => done(null, payload));
      uploads.post<Params & { Body: AsyncIterable<Uint8Array> }>(
        '/api/tenants/:tenantId/plugins',
        { config: { operation: 'plugin.add' }, bodyLimit: 2 * deps.maxBytes, schema: { params: tenantParams } },
        async (request, reply) => {
          const tenant = await getTenant(request.params.tenantId);
          if (request.headers['content-type'] !== 'application/x-tar')
            throw kernelErrors.FH_INVALID_REQUEST({ detail: 'Send the plugin as application/x-tar.' });
          const plugin = await registry.add(tenant, await receive(request.body, 2 * deps.maxBytes), actorOf(request));
          reply.code(201);
          return { plugin: viewOf(plugin, tenant) };
        },
      );
    });
  };
}

async function receive(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  let bytes = 0;
  return buffer(
    (async function* () {
      for await (const chunk of body) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw kernelErrors.FH_INVALID_REQUEST({ detail: 'The plugin is too large.' });
        yield chunk;
      }
    })(),
  );
}

function parsePayload(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw kernelErrors.FH_INVALID_REQUEST({ fields: { payload: 'Write JSON.' }, cause });
  }
}

function viewOf(plugin: Plugin, { edition }: Tenant): PluginView {
  const { name, version, digest, manifest, state, addedBy, failures, last } = plugin;
  const { title, capabilities, limits } = manifest;
  return {
    name,
    version,
    title,
    digest,
    state: state === 'enabled' && edition !== 'private-cloud' ? 'stopped' : state,
    capabilities,
    limits,
    addedAt: plugin.addedAt.toISOString(),
    addedBy,
    nextRunAt: plugin.nextRunAt?.toISOString(),
    failures,
    last: last && {
      at: last.at.toISOString(),
      trigger: last.trigger,
      outcome: last.outcome,
      ...(last.reason !== undefined && { reason: last.reason }),
    },
  };
}
