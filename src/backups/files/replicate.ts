import type { Readable } from 'node:stream';
import { FreeholdError, failpoint, type Log, type TenantId } from '#src/kernel/index.ts';
import type { ObjectName, ObjectStore, RegionStore } from '#src/objects/index.ts';

/** Tenants' files in the regions: `files/<name in the vault>`, the same sealed bytes. */
export interface FileReplicator {
  /** Brings what these tenants have to every region that answers. Safe to be killed in and to be called again. */
  replicate(tenantIds: Iterable<TenantId>, signal?: AbortSignal): Promise<readonly ReplicationResult[]>;
  /** Brings one content, which the vault has just got, to every region. Rejects with why a region may lack it. */
  bring(tenantId: TenantId, name: ObjectName, signal: AbortSignal): Promise<void>;
  /** From the first region that has it; undefined: none of those that answer. */
  open(name: ObjectName): Promise<Readable | undefined>;
}

export interface ReplicationResult {
  readonly region: string;
  /** Objects and bytes that were brought now. */
  readonly copied: number;
  readonly copiedBytes: number;
  /** Why the region may lack something. */
  readonly owed?: FreeholdError;
}

const prefix = 'files/';

/**
 * Content is named by what it is and never changes, so a name that a region has is never copied again. What a region has is remembered, and
 * read anew from the region itself (`forgetEveryMs`), because somebody may have removed something there.
 */
export function createFileReplicator({
  vault,
  regions,
  log,
  monotonicMs,
  forgetEveryMs = 15 * 60_000,
}: {
  readonly vault: Pick<ObjectStore, 'list' | 'open'>;
  readonly regions: readonly RegionStore[];
  readonly log: Log;
  readonly monotonicMs: () => number;
  /** Default 15 minutes. */
  readonly forgetEveryMs?: number;
}): FileReplicator {
  const copies = regions.map((store) => createCopy(store));

  function createCopy(store: RegionStore) {
    const held = new Map<TenantId, { readonly names: Set<ObjectName>; readonly readAtMs: number }>();
    return {
      store,
      note: (tenantId: TenantId, name: ObjectName) => void held.get(tenantId)?.names.add(name),
      async namesOf(tenantId: TenantId): Promise<Set<ObjectName>> {
        const known = held.get(tenantId);
        if (known && monotonicMs() - known.readAtMs < forgetEveryMs) return known.names;
        const names = new Set<ObjectName>();
        for await (const { name } of store.list(`${prefix}${tenantId}/`)) names.add(name.slice(prefix.length));
        held.set(tenantId, { names, readAtMs: monotonicMs() });
        return names;
      },
    };
  }

  /** @returns whether the vault had it */
  async function copy(store: RegionStore, name: ObjectName, expectedBytes?: number, signal?: AbortSignal) {
    const content = await vault.open(name);
    // Removed since it was listed: nobody refers to it any more.
    if (!content) return false;
    try {
      const options = { ...(expectedBytes !== undefined && { expectedBytes }), ...(signal && { signal }) };
      await store.put(prefix + name, content, options);
    } finally {
      // A region that is away does not read it at all.
      content.destroy();
    }
    await failpoint('backups.files.copied');
    return true;
  }

  async function bringAll(
    { store, namesOf }: ReturnType<typeof createCopy>,
    tenantIds: readonly TenantId[],
    signal: AbortSignal | undefined,
  ): Promise<ReplicationResult> {
    let [copied, copiedBytes] = [0, 0];
    try {
      for (const tenantId of tenantIds) {
        const names = await namesOf(tenantId);
        for await (const { name, sizeBytes } of vault.list(tenantId)) {
          signal?.throwIfAborted();
          if (names.has(name)) continue;
          if (!(await copy(store, name, sizeBytes, signal))) continue;
          names.add(name);
          copied++;
          copiedBytes += sizeBytes;
        }
      }
      return { region: store.region, copied, copiedBytes };
    } catch (error) {
      if (!(error instanceof FreeholdError)) throw error;
      log.warn('a region lacks files', { region: store.region, error });
      return { region: store.region, copied, copiedBytes, owed: error };
    }
  }

  return {
    async replicate(tenantIds, signal) {
      const ids = [...tenantIds];
      return Promise.all(copies.map((each) => bringAll(each, ids, signal)));
    },
    async bring(tenantId, name, signal) {
      const brought = await Promise.allSettled(
        copies.map(async ({ store, note }) => {
          if (await copy(store, name, undefined, signal)) note(tenantId, name);
        }),
      );
      const failed = brought.find((each) => each.status === 'rejected');
      if (failed) throw failed.reason;
    },
    async open(name) {
      for (const { store } of copies) {
        const content = await store.get(prefix + name).catch((error) => {
          log.warn('a region could not be asked for a file', { region: store.region, error });
          return undefined;
        });
        if (content) return content;
      }
      return undefined;
    },
  };
}
