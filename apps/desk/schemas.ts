/** JSON Schema pieces shared by the routes. Query values stay text here and are parsed by hand, so that no validator setting changes their meaning. */
import type { JsonSchema } from '../sdk/index.ts';
import type { ItemState, ItemType, Priority } from './api.ts';

export const itemTypes = ['task', 'bug', 'request', 'question', 'incident'] as const satisfies readonly ItemType[];
export const itemStates = [
  'backlog',
  'todo',
  'doing',
  'review',
  'done',
  'closed',
] as const satisfies readonly ItemState[];
export const openStates = ['backlog', 'todo', 'doing', 'review'] as const satisfies readonly ItemState[];
export const priorities = ['urgent', 'high', 'normal', 'low'] as const satisfies readonly Priority[];

export function isOpen(state: ItemState): boolean {
  return state !== 'done' && state !== 'closed';
}

export function objectOf(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = [],
): JsonSchema {
  return { type: 'object', additionalProperties: false, properties, required };
}

export const text = (maxLength: number, minLength = 0): JsonSchema => ({ type: 'string', minLength, maxLength });
export const choice = (values: readonly string[]): JsonSchema => ({ type: 'string', enum: values });
export const orNull = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: 'null' }] });
export const listOf = (items: JsonSchema, maxItems: number, minItems = 0): JsonSchema => ({
  type: 'array',
  items,
  minItems,
  maxItems,
});

export const idText: JsonSchema = { type: 'string', minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9_-]+$' };
export const versionNumber: JsonSchema = { type: 'integer', minimum: 1, maximum: 2_147_483_647 };
export const dayText: JsonSchema = { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}$' };
export const tagList: JsonSchema = listOf(text(200), 20);
// Longer than the limits on purpose: cleaning (line ends, outer blanks) comes first, then the exact limit with a plain message.
export const titleText: JsonSchema = text(1_000, 1);
export const descriptionText: JsonSchema = text(220_000);
export const requesterObject: JsonSchema = orNull(
  objectOf({ name: orNull(text(200)), email: orNull(text(320)) }, ['name', 'email']),
);

export const pagingProperties: Readonly<Record<string, JsonSchema>> = {
  limit: { type: 'string', pattern: '^[0-9]{1,3}$', description: '1–100' },
  cursor: text(2_000),
};
export const pagingQuery: JsonSchema = objectOf(pagingProperties);

/** Limit of a body that carries one description or comment: worst case six bytes of JSON per character. */
export const markdownBodyLimitBytes = 1_400_000;

export const adminRoles = ['owner', 'admin'] as const;
