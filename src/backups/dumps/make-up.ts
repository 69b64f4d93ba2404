import { createHash } from 'node:crypto';
import { failpoint } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { dumpErrors } from './errors.ts';
import { dumpName } from './names.ts';
import { type DumpPlace, openDump, toDamage } from './open.ts';

/**
 * Brings a dump to a region that was away, the same sealed bytes. It is opened to its end first, so that damage is not carried on, and the copy must be what was
 * opened. May be killed and called again. Errors: those of `openDump` (of `from`), those of the regions.
 * @returns bytes written; 0: it was there already
 */
export async function copyDump({
  from,
  to,
  dump,
  keys,
  signal,
}: {
  readonly from: RegionStore;
  readonly to: RegionStore;
  readonly dump: DumpPlace;
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly signal?: AbortSignal;
}): Promise<number> {
  const name = dumpName(dump.tenantId, dump.dumpId);
  if (await to.stat(name)) return 0;
  const seen = createHash('sha256');
  const { content } = await openDump(from, dump, keys, (sealed) => hashed(sealed, seen));
  try {
    for await (const _ of content) signal?.throwIfAborted();
  } catch (error) {
    throw toDamage(error, from.region, dump.dumpId);
  }
  const sha256 = seen.digest('hex');
  await failpoint('backups.dump.copy_checked');
  const source = await from.get(name);
  if (!source) throw dumpErrors.FH_DUMP_NOT_FOUND({ detail: `${from.region}: ${dump.dumpId}` });
  const again = createHash('sha256');
  async function* same(): AsyncGenerator<Uint8Array> {
    yield* hashed(source!, again);
    // Before the end, so that nothing else is published.
    if (again.digest('hex') !== sha256) throw dumpErrors.FH_DUMP_DAMAGED({ detail: `${from.region}: ${dump.dumpId}` });
  }
  const { sizeBytes, outcome } = await to
    .put(name, same(), { ...(signal && { signal }) })
    .finally(() => source.destroy());
  await failpoint('backups.dump.copied');
  return outcome === 'created' ? sizeBytes : 0;
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    hash.update(bytes);
    yield bytes;
  }
}
