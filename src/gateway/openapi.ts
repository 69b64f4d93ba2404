import type { FastifyInstance, RouteOptions } from 'fastify';

interface DescribedSchema {
  readonly summary?: string;
  readonly body?: unknown;
  readonly params?: { readonly properties?: Readonly<Record<string, unknown>> };
  readonly querystring?: {
    readonly properties?: Readonly<Record<string, unknown>>;
    readonly required?: readonly string[];
  };
  readonly response?: Readonly<Record<string, unknown>>;
}

/** Collects what is registered below `/-/api/` and `/-/scim/` from now on, without what answers everything else. @returns the OpenAPI 3.1 document of it, made once when first asked for */
export function describePlatform(app: FastifyInstance): () => object {
  const routes: RouteOptions[] = [];
  let document: object | undefined;
  app.addHook('onRoute', (route) => {
    if (/^\/-\/(?:api|scim)\/[^*]+$/.test(route.url) && route.method !== 'HEAD') routes.push(route);
  });
  return () => {
    document ??= { ...frame, paths: describePaths(routes) };
    return document;
  };
}

const problem = { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } };

const frame = {
  openapi: '3.1.0',
  info: { title: 'Freehold: accounts and sessions', version: '1' },
  components: {
    securitySchemes: {
      session: { type: 'apiKey', in: 'cookie', name: '__Host-freehold' },
      scimToken: { type: 'http', scheme: 'bearer', bearerFormat: 'fhs_…' },
    },
    schemas: {
      Problem: {
        description: 'RFC 9457',
        type: 'object',
        required: ['type', 'title', 'status', 'code', 'requestId'],
        properties: {
          type: { type: 'string' },
          title: { type: 'string' },
          status: { type: 'integer' },
          code: { type: 'string' },
          detail: { type: 'string' },
          hint: { type: 'string' },
          requestId: { type: 'string' },
          retryAfterSeconds: { type: 'number' },
          fields: { type: 'object', additionalProperties: { type: 'string' } },
        },
      },
    },
  },
} as const;

function describePaths(routes: readonly RouteOptions[]): Record<string, Record<string, object>> {
  const paths: Record<string, Record<string, object>> = {};
  for (const { url, method, schema, config } of routes) {
    const { summary, body, params, querystring, response } = (schema ?? {}) as DescribedSchema;
    const names = [...url.matchAll(/:([A-Za-z0-9_]+)/g)].map((match) => match[1]!);
    const path = url.replace(/:([A-Za-z0-9_]+)/g, '{$1}');
    const parameters = [
      ...names.map((name) => ({
        in: 'path',
        name,
        required: true,
        schema: params?.properties?.[name] ?? { type: 'string' },
      })),
      ...Object.entries(querystring?.properties ?? {}).map(([name, shape]) => ({
        in: 'query',
        name,
        required: querystring?.required?.includes(name) ?? false,
        schema: shape,
      })),
    ];
    const answers = Object.entries(response ?? { '2xx': undefined }).map(([status, shape]) => [
      status.toUpperCase(),
      { description: 'Done', ...(shape ? { content: { 'application/json': { schema: shape } } } : {}) },
    ]);
    const operation = {
      ...(config?.operation ? { operationId: config.operation } : {}),
      ...(summary ? { summary } : {}),
      ...(config?.withoutSession === 'allow'
        ? {}
        : { security: [config?.acceptsScimTokens ? { scimToken: [] } : { session: [] }] }),
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(body ? { requestBody: { required: true, content: { 'application/json': { schema: body } } } } : {}),
      responses: { ...Object.fromEntries(answers), default: { description: 'Refused', ...problem } },
    };
    for (const one of Array.isArray(method) ? method : [method]) {
      paths[path] ??= {};
      paths[path][one.toLowerCase()] = operation;
    }
  }
  return paths;
}
