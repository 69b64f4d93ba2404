import { keyErrors } from './errors.ts';
import { isKeyId } from './owners.ts';
import { canonicalJson } from './signing.ts';
import type { ObjectHeader } from './types.ts';

export const maxHeaderBytes = 4_096;

/** A record, so that the compiler misses none. */
const kinds: Readonly<Record<ObjectHeader['kind'], true>> = {
  wal: true,
  segment: true,
  history: true,
  manifest: true,
  shared: true,
  database: true,
  dump: true,
  file: true,
  ledger: true,
};

/** Begins with a letter, so `__proto__` is none; `constructor` and its like are refused besides. */
const fieldName = /^[a-z][A-Za-z0-9]{0,63}$/;

/** The header's bytes, one text per header (canonical JSON). Throws TypeError when it is not one: whoever seals made a mistake. */
export function formatHeader(header: ObjectHeader): Buffer {
  if (!isHeader(header)) throw new TypeError('not a header of a sealed object');
  const bytes = Buffer.from(canonicalJson(header), 'utf8');
  if (bytes.length > maxHeaderBytes) throw new TypeError(`a header has at most ${maxHeaderBytes} bytes`);
  return bytes;
}

/** Bytes of anyone → header that `formatHeader` makes again, byte by byte; throws FH_KEY_UNSEAL on all others. */
export function parseHeader(bytes: Buffer): ObjectHeader {
  if (bytes.length > maxHeaderBytes) throw keyErrors.FH_KEY_UNSEAL();
  const header = parseJson(bytes);
  if (!isHeader(header) || !formatHeader(header).equals(bytes)) throw keyErrors.FH_KEY_UNSEAL();
  return header;
}

/** Throws FH_KEY_UNSEAL unless every expected field is there with exactly this value. */
export function requireHeader(header: ObjectHeader, expected: Partial<ObjectHeader>): void {
  for (const [field, value] of Object.entries(expected)) {
    // An expectation that was never filled in would let everything pass.
    if (value === undefined) throw new TypeError(`expected ${field} is undefined`);
    if (!Object.hasOwn(header, field) || header[field] !== value) throw keyErrors.FH_KEY_UNSEAL();
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw keyErrors.FH_KEY_UNSEAL();
  }
}

function isHeader(value: unknown): value is ObjectHeader {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { kind, keyId } = value as Record<string, unknown>;
  return (
    Object.entries(value).every(([name, field]) => isFieldName(name) && isFieldValue(field)) &&
    typeof kind === 'string' &&
    Object.hasOwn(kinds, kind) &&
    isKeyId(keyId)
  );
}

function isFieldName(name: string): boolean {
  return fieldName.test(name) && !(name in Object.prototype);
}

/** Whole numbers only: other programs print fractions in other ways, and there would be two texts for one header. */
function isFieldValue(value: unknown): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0);
  return typeof value === 'boolean' || (typeof value === 'string' && value.isWellFormed());
}
