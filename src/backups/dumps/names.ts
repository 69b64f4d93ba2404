import { isId, type TenantId } from '#src/kernel/index.ts';
import type { ObjectName } from '#src/objects/index.ts';
import type { DumpId } from './types.ts';

export const dumpsFolder = 'dumps/';

export function dumpName(tenantId: TenantId, dumpId: DumpId): ObjectName {
  return `${dumpsFolder}${tenantId}/${dumpId}`;
}

/** undefined: no dump of ours. */
export function parseDumpName(name: ObjectName): { tenantId: TenantId; dumpId: DumpId } | undefined {
  const [, tenantId, dumpId, more] = name.split('/');
  return isId('ten', tenantId) && isId('dmp', dumpId) && more === undefined ? { tenantId, dumpId } : undefined;
}
