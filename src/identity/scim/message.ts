import { scimErrors } from './errors.ts';

/** Shapes of RFC 7644 and the strict reading of what clients send. Keys from outside are looked up in maps of ours, never used as names. */
export const messageSchemas = {
  patch: 'urn:ietf:params:scim:api:messages:2.0:PatchOp',
  list: 'urn:ietf:params:scim:api:messages:2.0:ListResponse',
  error: 'urn:ietf:params:scim:api:messages:2.0:Error',
} as const;

export const messageLimits = { operations: 100, values: 5_000, text: 1_000 } as const;

export type Body = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Throws FH_SCIM_SYNTAX unless it is an object that says it is of this schema. */
export function parseMessage(body: unknown, schema: string): Body {
  if (!isObject(body)) throw scimErrors.FH_SCIM_SYNTAX({ detail: 'The body is no object.' });
  const { schemas } = body;
  const isOfSchema =
    Array.isArray(schemas) &&
    schemas.some((one) => typeof one === 'string' && one.toLowerCase() === schema.toLowerCase());
  if (!isOfSchema) throw scimErrors.FH_SCIM_SYNTAX({ detail: `"schemas" does not name ${schema}.` });
  return body;
}

export interface PatchOperation {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: string | undefined;
  readonly value: unknown;
}

/** Throws FH_SCIM_SYNTAX, FH_SCIM_TOO_MANY. Entra ID writes `Add`, `Replace`, `Remove`. */
export function parsePatch(body: unknown): PatchOperation[] {
  const { Operations: operations } = parseMessage(body, messageSchemas.patch);
  if (!Array.isArray(operations) || operations.length === 0)
    throw scimErrors.FH_SCIM_SYNTAX({ detail: '"Operations" is no list with something in it.' });
  if (operations.length > messageLimits.operations)
    throw scimErrors.FH_SCIM_TOO_MANY({ detail: `At most ${messageLimits.operations} operations.` });
  return operations.map((one: unknown): PatchOperation => {
    if (!isObject(one)) throw scimErrors.FH_SCIM_SYNTAX({ detail: 'An operation is no object.' });
    const op = typeof one.op === 'string' ? one.op.toLowerCase() : '';
    if (op !== 'add' && op !== 'replace' && op !== 'remove')
      throw scimErrors.FH_SCIM_SYNTAX({ detail: '"op" is add, replace or remove.' });
    const { path } = one;
    if (path !== undefined && path !== null && typeof path !== 'string')
      throw scimErrors.FH_SCIM_PATH({ detail: '"path" is no text.' });
    if (op === 'remove' && !path) throw scimErrors.FH_SCIM_NO_TARGET({ detail: 'What is to be removed needs a path.' });
    if (op !== 'remove' && one.value === undefined)
      throw scimErrors.FH_SCIM_VALUE({ detail: 'What is to be set needs a value.' });
    return { op, path: path || undefined, value: one.value };
  });
}

/** Throws FH_SCIM_VALUE. Trimmed; undefined: null or nothing but space. */
export function parseText(value: unknown, name: string): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'string' || value.length > messageLimits.text || !value.isWellFormed() || /\p{Cc}/u.test(value))
    throw scimErrors.FH_SCIM_VALUE({ detail: `"${name}" is no text of at most ${messageLimits.text} characters.` });
  return value.trim().normalize('NFC') || undefined;
}

/** One or many, as clients send them. Throws FH_SCIM_VALUE, FH_SCIM_TOO_MANY. */
export function parseValues(value: unknown, name: string): Body[] {
  const values = Array.isArray(value) ? value : value === null ? [] : [value];
  if (values.length > messageLimits.values)
    throw scimErrors.FH_SCIM_TOO_MANY({ detail: `At most ${messageLimits.values} values of "${name}".` });
  return values.map((one: unknown) => {
    // Some clients send the bare value.
    const whole = typeof one === 'string' ? { value: one } : one;
    if (!isObject(whole)) throw scimErrors.FH_SCIM_VALUE({ detail: `A value of "${name}" is no object.` });
    return whole;
  });
}
