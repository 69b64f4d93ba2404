import { FreeholdError, type TenantId } from '#src/kernel/index.ts';
import { type OpenedObject, openObject } from '#src/keys/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { dumpErrors } from './errors.ts';
import { dumpName } from './names.ts';
import type { DumpHeader, DumpId } from './types.ts';

export interface DumpPlace {
  readonly tenantId: TenantId;
  readonly dumpId: DumpId;
}

export interface OpenedDump extends OpenedObject {
  readonly header: DumpHeader;
}

/**
 * The very dump of the very tenant, sealed under that tenant's own key, from one region. Its content is what pg_dump wrote; only when it has been read to the end
 * is it whole. Errors: FH_DUMP_NOT_FOUND, FH_DUMP_DAMAGED, FH_KEY_DESTROYED, those of the region.
 */
export async function openDump(
  region: RegionStore,
  { tenantId, dumpId }: DumpPlace,
  keys: Pick<BackupKeys, 'openKey'>,
  through: (sealed: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> = (sealed) => sealed,
): Promise<OpenedDump> {
  const source = await region.get(dumpName(tenantId, dumpId));
  if (!source) throw dumpErrors.FH_DUMP_NOT_FOUND({ detail: `${region.region}: ${dumpId}` });
  try {
    const opened = await openObject(through(source), {
      expect: { kind: 'dump', tenantId, dumpId },
      owner: tenantId,
      findKey: async (keyId) => (await keys.openKey(keyId)).key,
    });
    return opened as OpenedDump;
  } catch (error) {
    throw toDamage(error, region.region, dumpId);
  }
}

/** What does not open is damaged, whoever did it. */
export function toDamage(error: unknown, region: string, dumpId: DumpId): unknown {
  if (!(error instanceof FreeholdError && error.code === 'FH_KEY_UNSEAL')) return error;
  return dumpErrors.FH_DUMP_DAMAGED({ detail: `${region}: ${dumpId}`, cause: error });
}
