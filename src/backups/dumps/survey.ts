import { FreeholdError, type Log } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { ObjectInfo, RegionStore } from '#src/objects/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { dumpsFolder, parseDumpName } from './names.ts';
import { openDump } from './open.ts';
import { deleteCopies, insertCopy, selectCopies } from './sql.ts';
import type { DumpId } from './types.ts';

/**
 * Makes the rows of table `dumps` say what one region holds. What we do not know yet is opened, so that no row rests on a name; what does not open is
 * left out and logged. Errors: those of the region.
 */
export async function surveyDumps({
  region,
  db,
  keys,
  log,
  signal,
}: {
  readonly region: RegionStore;
  readonly db: Queryable;
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly log: Log;
  readonly signal?: AbortSignal;
}): Promise<void> {
  const known = await selectCopies(db, region.region);
  const gone = new Set(known);
  const news: ObjectInfo[] = [];
  for await (const info of region.list(dumpsFolder)) {
    const dumpId = parseDumpName(info.name)?.dumpId;
    if (!dumpId) continue;
    if (!gone.delete(dumpId)) news.push(info);
  }
  if (gone.size > 0) await deleteCopies(db, region.region, [...gone] as DumpId[]);
  for (const { name, sizeBytes, createdAt } of news) {
    signal?.throwIfAborted();
    const place = parseDumpName(name)!;
    try {
      const { header, content } = await openDump(region, place, keys);
      await content.return?.();
      const copy = { region: region.region, ...place, sizeBytes, storedAt: createdAt };
      await insertCopy(db, { ...copy, madeAt: new Date(header.madeAt) });
    } catch (error) {
      if (!(error instanceof FreeholdError) || error.code.startsWith('FH_REGION')) throw error;
      // Of a deleted tenant: retention takes it away.
      if (error.code !== 'FH_KEY_DESTROYED') log.warn('a dump cannot be read', { region: region.region, name, error });
    }
  }
}
