import { type FreeholdError, isId, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import type { ObjectName } from '#src/objects/index.ts';
import type { BackedUpDatabase } from '../types.ts';
import { toFinding } from './check.ts';
import type { Finding } from './types.ts';

/** Who is called how: to name the tenant of an object or a key. */
export type TenantNames = ReadonlyMap<TenantId, string>;

/** Errors that do not say which object they are about. */
const unnamed = new Set(['FH_KEY_UNSEAL', 'FH_INTERNAL']);

/** Why a restore failed, with the object and the tenant when they can be told. */
export function causeOf(
  error: unknown,
  { region, lastRead, names }: { region: string; lastRead: ObjectName | undefined; names: TenantNames },
): Finding {
  const known = toFreeholdError(error);
  const finding = toFinding(known);
  const text =
    unnamed.has(known.code) && !known.detail && lastRead
      ? `${finding.text}: region ${region}, ${lastRead} was changed, is damaged, or is sealed under another key`
      : finding.text;
  return { ...finding, text, ...tenantIn(`${text} ${detailOf(known)}`, names) };
}

/** The object of the one tenant's database is not in the region. */
export function missingObject(
  region: string,
  database: BackedUpDatabase | undefined,
  name: ObjectName,
  names: TenantNames,
): Finding {
  const tenantId = database?.tenantId;
  const tenantName = tenantId && names.get(tenantId);
  return {
    code: 'FH_BACKUP_OBJECT_MISSING',
    text: `A backup refers to an object that is not in the region: ${region}: ${name}`,
    ...(tenantId && { tenantId }),
    ...(tenantName && { tenantName }),
  };
}

/** The owner of the object or key that a text names. */
export function tenantIn(text: string, names: TenantNames): { tenantId?: TenantId; tenantName?: string } {
  const found = /\bten_[0-9a-hjkmnp-tv-z]{26}\b/.exec(text)?.[0];
  if (!isId('ten', found)) return {};
  const tenantName = names.get(found);
  return { tenantId: found, ...(tenantName && { tenantName }) };
}

function detailOf(error: FreeholdError): string {
  return error.detail ?? '';
}
