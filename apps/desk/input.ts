/** Reads query values and cursors. Everything that cannot be read is a 400 that names the value. */
import { badQuery } from './errors.ts';

export function textOf(query: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = query[name];
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') throw badQuery(name, 'is given more than once');
  // No text of PostgreSQL holds a zero byte, so none of ours matches one.
  return value.replaceAll('\0', '') || undefined;
}

export function limitOf(query: Readonly<Record<string, unknown>>, fallback = 50): number {
  const value = textOf(query, 'limit');
  if (value === undefined) return fallback;
  const limit = Number(value);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) throw badQuery('limit', 'is not a number from 1 to 100');
  return limit;
}

/** Comma-separated choices, without repetition; undefined when not given. */
export function choicesOf(
  query: Readonly<Record<string, unknown>>,
  name: string,
  maxChoices = 50,
): string[] | undefined {
  const value = textOf(query, name);
  if (value === undefined) return undefined;
  const choices = [...new Set(value.split(',').map((choice) => choice.trim()))].filter((choice) => choice !== '');
  if (choices.length === 0) return undefined;
  if (choices.length > maxChoices) throw badQuery(name, `has more than ${maxChoices} choices`);
  return choices;
}

/** Values of the last row of a page, as text. Opaque to clients; carries nothing that they have not seen. */
export function formatCursor(kind: string, values: readonly string[]): string {
  return Buffer.from(JSON.stringify([kind, ...values])).toString('base64url');
}

/** @param patterns what each value must look like before it goes near a cast in SQL */
export function parseCursor(cursor: string, kind: string, patterns: readonly RegExp[]): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    throw badQuery('cursor', 'cannot be read');
  }
  if (!Array.isArray(parsed) || parsed.length !== patterns.length + 1 || parsed[0] !== kind)
    throw badQuery('cursor', 'belongs to another list or sort');
  return patterns.map((pattern, index) => {
    const value: unknown = parsed[index + 1];
    if (typeof value !== 'string' || !pattern.test(value)) throw badQuery('cursor', 'cannot be read');
    return value;
  });
}

export const cursorPatterns = {
  id: /^[A-Za-z0-9_-]{1,64}$/,
  integer: /^\d{1,18}$/,
  decimal: /^\d{1,10}(\.\d{1,12})?$/,
  // As PostgreSQL writes it in ISO style.
  timestamp: /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{1,6})?[+-]\d{2}(:\d{2})?$/,
  day: /^(\d{4}-\d{2}-\d{2}|infinity)$/,
  // biome-ignore lint/complexity/useRegexLiterals: NUL must not appear, PostgreSQL refuses it
  text: new RegExp('^[^\\u0000]{0,1200}$', 'su'),
} as const;
