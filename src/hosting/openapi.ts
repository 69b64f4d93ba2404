import { STATUS_CODES } from 'node:http';
import type { App, JsonSchema, RouteDefinition } from '#sdk';

/** OpenAPI 3.1 document of an app's routes. Says nothing of any tenant: it is the same for all. */
export function describeApp(app: App): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of app.routes) {
    const path = route.path.replace(/:([a-zA-Z][a-zA-Z0-9]*)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describeRoute(app, route) };
  }
  paths['/api/events'] = {
    get: {
      operationId: `${app.manifest.name}.events`,
      summary: 'Live events of your account, as server-sent events',
      tags: ['events'],
      responses: {
        200: { description: 'OK', content: { 'text/event-stream': { schema: { type: 'string' } } } },
        ...problems([401]),
      },
    },
  };
  return {
    openapi: '3.1.0',
    info: { title: app.manifest.title, version: app.manifest.version, description: app.manifest.description },
    servers: [{ url: '/' }],
    security: [{ session: [] }, { token: [] }],
    paths,
    components: {
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: '__Host-freehold', description: 'Set by POST /-/api/session.' },
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'fhp_…',
          description:
            'An API token of a user, made on the account page (/-/account). It acts as that user, with the role of the moment; one of scope `read` may only GET. Not together with a cookie.',
        },
      },
      schemas: { Problem: problemSchema },
      responses: { Problem: { description: 'A problem document (RFC 9457)', content: problemContent } },
    },
  };
}

function describeRoute(app: App, route: RouteDefinition): JsonSchema {
  const statuses = [
    400,
    401,
    // A role, or a token that only reads.
    ...(route.roles || route.method !== 'GET' ? [403] : []),
    ...(route.path.includes(':') ? [404] : []),
    ...(route.upload ? [413] : []),
    500,
  ];
  const success = route.response
    ? { 200: { description: 'OK', content: { 'application/json': { schema: route.response } } } }
    : { '2XX': { description: 'Done' } };
  return {
    operationId: route.operation,
    summary: route.summary,
    // `desk.item.get` → `item`
    tags: [route.operation.split('.').slice(1, -1).join('.') || app.manifest.name],
    ...(route.roles ? { description: `For the roles ${route.roles.join(', ')}.` } : {}),
    parameters: [...pathParameters(route), ...queryParameters(route.query)],
    ...requestBody(route),
    responses: { ...success, ...problems(statuses) },
  };
}

function pathParameters(route: RouteDefinition): JsonSchema[] {
  const schemas = propertiesOf(route.params);
  return [...route.path.matchAll(/:([a-zA-Z][a-zA-Z0-9]*)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: schemas[name!] ?? { type: 'string' },
  }));
}

function queryParameters(schema: JsonSchema | undefined): JsonSchema[] {
  const required = (schema?.required ?? []) as readonly string[];
  return Object.entries(propertiesOf(schema)).map(([name, property]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema: property,
  }));
}

function requestBody(route: RouteDefinition): JsonSchema {
  if (route.body) return { requestBody: { required: true, content: { 'application/json': { schema: route.body } } } };
  if (!route.upload) return {};
  const schema = {
    type: 'object',
    required: ['file'],
    properties: {
      file: { type: 'string', contentMediaType: 'application/octet-stream', maxLength: route.upload.maxBytes },
    },
  };
  return { requestBody: { required: true, content: { 'multipart/form-data': { schema } } } };
}

function propertiesOf(schema: JsonSchema | undefined): Record<string, JsonSchema> {
  return (schema?.properties ?? {}) as Record<string, JsonSchema>;
}

function problems(statuses: readonly number[]): Record<string, JsonSchema> {
  return Object.fromEntries(
    statuses.map((status) => [status, { description: STATUS_CODES[status], content: problemContent }]),
  );
}

const problemContent = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };

const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'requestId'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string', description: 'What happened, for a person.' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable; programs decide by it.' },
    detail: { type: 'string' },
    hint: { type: 'string', description: 'What to do next.' },
    requestId: { type: 'string' },
    fields: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'What is wrong with which field.',
    },
    retryAfterSeconds: { type: 'number' },
  },
};
