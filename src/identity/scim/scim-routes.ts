import type { FastifyError, FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { httpErrors, toPublicError } from '#src/http/index.ts';
import type { Log } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { Identity } from '../identity.ts';
import { resourceTypes, schemas, serviceProviderConfig } from './discovery.ts';
import { scimErrors, scimTypes } from './errors.ts';
import type { Resource } from './filter.ts';
import { type ListAnswer, type ListQuery, listOf } from './list.ts';
import { messageSchemas } from './message.ts';
import type { Provisioner } from './provisioning.ts';
import { namesVersion, parseProjection, project, versionIn } from './resources.ts';
import type { ScimTokenUse } from './scim-tokens-sql.ts';

export const scimPath = '/-/scim/v2';
export const scimMediaType = 'application/scim+json';
const bodyBytes = 1_048_576;

export interface ScimRoutesOptions {
  /** The configured origin of a tenant; never taken from the request. */
  readonly originOf: (tenant: TenantRoute) => string;
  readonly log: Log;
}

/** Anybody's question and answer: how a client finds out what there is. With a token like all others. */
const operation = (name: string) => ({ config: { operation: `scim.${name}`, acceptsScimTokens: true as const } });

interface Query {
  readonly attributes?: string;
  readonly excludedAttributes?: string;
  readonly filter?: string;
  readonly startIndex?: string;
  readonly count?: string;
}
type WithId = { Params: { id: string }; Querystring: Query };

/** SCIM 2.0 for one tenant's directory; register with the prefix `scimPath`. The gateway has checked the token. */
export function scimRoutes(identity: Identity, { originOf, log }: ScimRoutesOptions): FastifyPluginAsync {
  return async (app) => {
    app.removeAllContentTypeParsers();
    // As the framework reads JSON, `__proto__` and `constructor.prototype` refused.
    const parse = app.getDefaultJsonParser('error', 'error');
    app.addContentTypeParser([scimMediaType, 'application/json'], { parseAs: 'string', bodyLimit: bodyBytes }, parse);
    app.setErrorHandler<FastifyError>((error, request, reply) => sendError(error, request, reply, log));

    app.addHook('preHandler', async (request) => {
      // No default: outside the gateway nobody has looked at the token.
      if (!useOf(request)) throw scimErrors.FH_SCIM_TOKEN_REQUIRED();
    });

    const provisionerOf = (request: FastifyRequest): Provisioner => ({
      use: useOf(request)!,
      address: request.ip,
      base: originOf(request.tenant) + scimPath,
    });

    addDiscovery(app, (request) => provisionerOf(request).base);
    addUsers(app, identity, provisionerOf);
    addGroups(app, identity, provisionerOf);
    app.all('/*', operation('not_found'), async () => {
      throw httpErrors.FH_NOT_FOUND();
    });
  };
}

function useOf(request: FastifyRequest): ScimTokenUse | undefined {
  return (request as unknown as { scimToken?: ScimTokenUse }).scimToken;
}

function addDiscovery(app: FastifyInstance, baseOf: (request: FastifyRequest) => string): void {
  app.get('/ServiceProviderConfig', operation('config.get'), async (request, reply) =>
    send(reply, serviceProviderConfig(baseOf(request))),
  );
  const collections = { ResourceTypes: resourceTypes, Schemas: schemas } as const;
  for (const [name, list] of Object.entries(collections)) {
    const noun = name === 'Schemas' ? 'schema' : 'resource_type';
    app.get(`/${name}`, operation(`${noun}.list`), async (request, reply) => {
      const all = list(baseOf(request));
      return send(reply, listOf(all, all.length, {}));
    });
    app.get<{ Params: { id: string } }>(`/${name}/:id`, operation(`${noun}.get`), async (request, reply) => {
      const found = list(baseOf(request)).find(({ id }) => id === request.params.id);
      if (!found) throw scimErrors.FH_SCIM_NOT_FOUND();
      return send(reply, found);
    });
  }
}

type ProvisionerOf = (request: FastifyRequest) => Provisioner;

function addUsers(app: FastifyInstance, identity: Identity, by: ProvisionerOf): void {
  app.get<{ Querystring: Query }>('/Users', operation('user.list'), async (request, reply) =>
    sendList(
      reply,
      await identity.listScimUsers(tenantOf(request), by(request), listQuery(request.query)),
      request.query,
    ),
  );
  app.post<{ Querystring: Query }>('/Users', operation('user.create'), async (request, reply) => {
    const made = await identity.createScimUser(tenantOf(request), by(request), request.body);
    return sendResource(request, reply.code(201), made);
  });
  app.get<WithId>('/Users/:id', operation('user.get'), async (request, reply) =>
    sendResource(request, reply, await identity.getScimUser(tenantOf(request), by(request), request.params.id)),
  );
  app.put<WithId>('/Users/:id', operation('user.replace'), async (request, reply) => {
    const { params, body } = request;
    const user = await identity.replaceScimUser(tenantOf(request), by(request), params.id, body, ifMatch(request));
    return sendResource(request, reply, user);
  });
  app.patch<WithId>('/Users/:id', operation('user.patch'), async (request, reply) => {
    const { params, body } = request;
    const user = await identity.patchScimUser(tenantOf(request), by(request), params.id, body, ifMatch(request));
    return sendResource(request, reply, user);
  });
  app.delete<WithId>('/Users/:id', operation('user.delete'), async (request, reply) => {
    await identity.deleteScimUser(tenantOf(request), by(request), request.params.id, ifMatch(request));
    return reply.code(204).send();
  });
}

function addGroups(app: FastifyInstance, identity: Identity, by: ProvisionerOf): void {
  const withMembers = (query: Query) => {
    const { attributes, excluded } = parseProjection(query.attributes, query.excludedAttributes);
    return attributes ? attributes.has('members') : !excluded.has('members');
  };
  app.get<{ Querystring: Query }>('/Groups', operation('group.list'), async (request, reply) => {
    const { query } = request;
    const asked = listQuery(query);
    const groups = await identity.listScimGroups(tenantOf(request), by(request), asked, withMembers(query));
    return sendList(reply, groups, query);
  });
  app.post<{ Querystring: Query }>('/Groups', operation('group.create'), async (request, reply) => {
    const made = await identity.createScimGroup(tenantOf(request), by(request), request.body);
    return sendResource(request, reply.code(201), made);
  });
  app.get<WithId>('/Groups/:id', operation('group.get'), async (request, reply) => {
    const { params, query } = request;
    const group = await identity.getScimGroup(tenantOf(request), by(request), params.id, withMembers(query));
    return sendResource(request, reply, group);
  });
  app.put<WithId>('/Groups/:id', operation('group.replace'), async (request, reply) => {
    const { params, body } = request;
    const group = await identity.replaceScimGroup(tenantOf(request), by(request), params.id, body, ifMatch(request));
    return sendResource(request, reply, group);
  });
  // Nobody wants thousands of members back for having added one (RFC 7644, 3.5.2, allows no content).
  app.patch<WithId>('/Groups/:id', operation('group.patch'), async (request, reply) => {
    const { params, body } = request;
    await identity.patchScimGroup(tenantOf(request), by(request), params.id, body, ifMatch(request));
    return reply.code(204).send();
  });
  app.delete<WithId>('/Groups/:id', operation('group.delete'), async (request, reply) => {
    await identity.deleteScimGroup(tenantOf(request), by(request), request.params.id, ifMatch(request));
    return reply.code(204).send();
  });
}

function tenantOf(request: FastifyRequest): TenantRoute['tenantId'] {
  return request.tenant.tenantId;
}

function ifMatch({ headers }: FastifyRequest): string | undefined {
  return headers['if-match'];
}

/** Throws FH_SCIM_VALUE. Parameters that come twice are lists, and refused. */
function listQuery({ filter, startIndex, count }: Query): ListQuery {
  if (filter !== undefined && typeof filter !== 'string') throw scimErrors.FH_SCIM_FILTER({ detail: 'There are two.' });
  return {
    filter: filter?.trim() || undefined,
    startIndex: integer(startIndex, 'startIndex'),
    count: integer(count, 'count'),
  };
}

function integer(text: unknown, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (typeof text !== 'string' || !/^-?\d{1,9}$/.test(text))
    throw scimErrors.FH_SCIM_VALUE({ detail: `"${name}" is a whole number.` });
  return Number(text);
}

function projectionOf({ attributes, excludedAttributes }: Query) {
  for (const one of [attributes, excludedAttributes])
    if (one !== undefined && (typeof one !== 'string' || one.length > 2_000))
      throw scimErrors.FH_SCIM_VALUE({ detail: 'Attributes are a list with commas.' });
  return parseProjection(attributes, excludedAttributes);
}

function send(reply: FastifyReply, body: object): FastifyReply {
  return reply.header('cache-control', 'no-store').type(`${scimMediaType}; charset=utf-8`).send(JSON.stringify(body));
}

function sendList(reply: FastifyReply, answer: ListAnswer, query: Query): FastifyReply {
  const projection = projectionOf(query);
  return send(reply, { ...answer, Resources: answer.Resources.map((one) => project(one, projection)) });
}

function sendResource(request: FastifyRequest, reply: FastifyReply, resource: Resource): FastifyReply {
  const version = versionIn(resource);
  const { location } = resource.meta as { location: string };
  reply.header('etag', version).header('location', location);
  const known = request.headers['if-none-match'];
  if (request.method === 'GET' && known !== undefined && namesVersion(known, version)) return reply.code(304).send();
  return send(reply, project(resource, projectionOf(request.query as Query)));
}

/** RFC 7644, 3.12. What a person may read is the same as everywhere else; `code` is our own. */
function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply, log: Log): FastifyReply {
  const error = toPublicError(thrown);
  request.errorCode = error.code;
  if (error.unexpected)
    log.error('a request failed', { operation: request.routeConfig.operation, requestId: request.id, error: thrown });
  // The status that directories know for what is wrong with a value (RFC 7644, table 8).
  const status = error.status === 422 ? 400 : error.status;
  if (error.retryAfterSeconds !== undefined)
    reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfterSeconds)));
  if (status === 401 && !reply.hasHeader('www-authenticate')) reply.header('www-authenticate', 'Bearer');
  const scimType = scimTypes.get(error.code);
  return send(reply.code(status), {
    schemas: [messageSchemas.error],
    status: String(status),
    ...(scimType && { scimType }),
    detail: [error.title, error.detail, error.hint].filter(Boolean).join('. ').replaceAll('..', '.'),
    code: error.code,
    requestId: request.id,
  });
}
