import type { TenantId } from '#src/kernel/index.ts';
import type { Instance } from './instance.ts';
import type { Kept } from './kept.ts';
import type { RunSpec } from './types.ts';

const everyMs = 2_000;
/** A folder of many files takes long to measure; so much longer it is left alone. */
const pauseShare = 20;
const mebibyte = 2 ** 20;

/** Folders of those who are awake, one after the other: whoever has written more than their limit is told of. */
export function createFolderWatch(of: {
  /** Bytes on the disk; undefined: it cannot be said now. */
  readonly measure: (tenantId: TenantId) => Promise<number | undefined>;
  readonly now: () => number;
  readonly onFull: (tenantId: TenantId, kept: Kept, instance: Instance, reason: string) => Promise<void>;
}) {
  const dueMs = new WeakMap<Instance, number>();
  let isLooking = false;

  /** Why it may not run, if so. */
  async function findExcess(tenantId: TenantId, { limits: { folderBytes } }: RunSpec): Promise<string | undefined> {
    const sizeBytes = await of.measure(tenantId);
    if (sizeBytes === undefined || sizeBytes <= folderBytes) return undefined;
    return `its folder has ${Math.ceil(sizeBytes / mebibyte)} MiB and may have ${Math.floor(folderBytes / mebibyte)} MiB (limits.folderMb)`;
  }

  return {
    findExcess,
    async look(apps: ReadonlyMap<TenantId, Kept>): Promise<void> {
      if (isLooking) return;
      isLooking = true;
      try {
        for (const [tenantId, kept] of [...apps]) {
          const { instance, spec, state } = kept;
          const beganMs = of.now();
          if (!instance || !spec || state !== 'awake' || beganMs < (dueMs.get(instance) ?? 0)) continue;
          const reason = await findExcess(tenantId, spec);
          const tookMs = of.now() - beganMs;
          dueMs.set(instance, of.now() + Math.max(everyMs, pauseShare * tookMs));
          if (reason !== undefined) await of.onFull(tenantId, kept, instance, reason);
        }
      } finally {
        isLooking = false;
      }
    },
  };
}
