import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifySchemaCompiler } from 'fastify';
import type { JsonSchema, RouteDefinition } from '#sdk';

/**
 * Validation of what comes in. Strict: an unknown keyword or format is an error when the app is loaded, an unknown
 * property is refused, never dropped in silence. Path and query are text, so their values are converted to the type that
 * the schema names; a body is taken as it is.
 */
const options = { strict: true, allowUnionTypes: true, useDefaults: true, removeAdditional: false } as const;
const bodies = addFormats.default(new Ajv2020({ ...options, coerceTypes: false }));
const texts = addFormats.default(new Ajv2020({ ...options, coerceTypes: 'array' }));

const parts = ['params', 'query', 'body', 'response'] as const;

/** Problems of a route's schemas, by field; empty when all are sound. */
export function compileSchemas(route: Partial<RouteDefinition>): Record<string, string> {
  const problems: Record<string, string> = {};
  for (const part of parts) {
    const schema = route[part];
    if (schema === undefined) continue;
    try {
      compile(part, schema);
    } catch (error) {
      problems[part] = error instanceof Error ? error.message : String(error);
    }
  }
  const named = [...String(route.path).matchAll(/:([a-zA-Z][a-zA-Z0-9]*)/g)].map((match) => match[1]!);
  const described = Object.keys((route.params?.properties as object | undefined) ?? {});
  if (route.params && !problems.params) {
    const odd = [
      ...named.filter((name) => !described.includes(name)),
      ...described.filter((name) => !named.includes(name)),
    ];
    if (odd.length > 0) problems.params = `path and schema do not name the same parameters: ${odd.join(', ')}`;
  }
  return problems;
}

function compile(part: (typeof parts)[number], schema: JsonSchema): ValidateFunction {
  if (typeof schema !== 'object' || schema === null) throw new TypeError('must be a JSON schema');
  return (part === 'params' || part === 'query' ? texts : bodies).compile(schema);
}

/** For Fastify, which calls the parts `params`, `querystring` and `body`, and reads `errors` of the function. */
export const compileForFastify: FastifySchemaCompiler<JsonSchema> = ({ schema, httpPart }) =>
  compile(httpPart === 'params' ? 'params' : httpPart === 'querystring' ? 'query' : 'body', schema);
