import { type Clock, type ClusterId, failpoint, type TenantId } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { ObjectName, RegionStore } from '#src/objects/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import { buildCatalogue } from '../catalogue/build.ts';
import { createCatalogueReader } from '../catalogue/reader.ts';
import { saveCatalogue } from '../catalogue/sql.ts';
import type { Catalogue } from '../catalogue/types.ts';
import { applyRetention, type RetentionFacts, type RetentionResult } from './apply.ts';
import { dayMs } from './decide.ts';
import type { RetentionHolds } from './holds.ts';
import { findOwed, type OwedToRegions } from './owed.ts';
import { createRetentionJournal, findLastHorizon, loadOrphans, loadUnreferencedFiles } from './sql.ts';
import type { RetentionPolicy } from './types.ts';

export interface RunRetentionOptions {
  readonly region: RegionStore;
  readonly policy: RetentionPolicy;
  /** Control's own database: the journal, and what is known of orphans and files. */
  readonly db: Pool;
  readonly keys: Pick<BackupKeys, 'openKey' | 'destroyedOwners'>;
  readonly holds: RetentionHolds;
  readonly clusterId: ClusterId;
  /** What other regions lack of the cluster's WAL, as the shipper says. */
  readonly readOwed: () => OwedToRegions;
  /** The same of every other cluster that there is. Default: there is none. */
  readonly readOthersOwed?: (() => ReadonlyMap<ClusterId, OwedToRegions>) | undefined;
  /** Of these objects of a tenant's files (names as in the vault) those that no row refers to and that the vault does not have. Rejects when nobody can tell. */
  readonly findUnneededFiles: (tenantId: TenantId, names: readonly ObjectName[]) => Promise<readonly ObjectName[]>;
  /** Of the same region, earlier: spares reading what is known. */
  readonly previous?: Catalogue;
  readonly clock: Clock;
  /** Decides, and changes nothing. Default: false. */
  readonly dryRun?: boolean;
  readonly onProgress?: (progress: RetentionProgress) => void;
  readonly signal?: AbortSignal;
}

export interface RetentionProgress {
  readonly phase: 'listing' | 'removing';
  readonly done: number;
  /** Not known while listing. */
  readonly all?: number;
}

export interface RetentionRunResult extends RetentionResult {
  readonly catalogue: Catalogue;
  /** Uploads that never ended and are gone now. */
  readonly removedUnfinished: number;
  /** Tenants about whose files nobody could tell, and why: all of theirs stayed. */
  readonly unanswered: ReadonlyMap<TenantId, unknown>;
}

const filesPrefix = 'files/';

/**
 * Retention of one region, from its listing to the last removal. One at a time per region, though two would do no harm. Killed anywhere, the next run goes
 * on from what the region holds then. Rejects with FH_REGION_UNAVAILABLE while the region is away; nothing is lost by waiting.
 */
export async function runRetention(options: RunRetentionOptions): Promise<RetentionRunResult> {
  const { region, policy, db, keys, holds, previous, clock, dryRun = false, onProgress, signal } = options;
  const now = () => new Date(clock.now());
  // Before the listing: whoever begins from here on is seen, also when it has ended by the time of the decision.
  const watch = holds.watch();
  try {
    onProgress?.({ phase: 'listing', done: 0 });
    const reader = createCatalogueReader(region, keys);
    const catalogue = await buildCatalogue({
      region,
      reader,
      ...(previous && { previous }),
      ...(signal && { signal }),
    });
    if (!dryRun) await db.transaction((tx) => saveCatalogue(tx, catalogue));
    await failpoint('retention.catalogue_saved');

    const lastHorizon = await findLastHorizon(db, region.region, policy.days);
    // Read once: all of it may only grow, or say that something is older. What may change while we remove is in the watch.
    const destroyedKeys = new Set(await keys.destroyedOwners());
    const unanswered = new Map<TenantId, unknown>();
    const unreferencedFiles = await readUnreferencedFiles(options, destroyedKeys, now(), unanswered);
    const settled = {
      destroyedKeys,
      orphanSince: await loadOrphans(db, region.region),
      owed: [[options.clusterId, options.readOwed()] as const, ...(options.readOthersOwed?.() ?? [])].flatMap(
        ([clusterId, owed]) => findOwed(catalogue, clusterId, owed),
      ),
      unreferencedFiles,
      unansweredTenants: [...unanswered.keys()],
      ...(lastHorizon && { lastHorizon }),
    };
    const readFacts = async (): Promise<RetentionFacts> => ({ ...settled, ...watch.held() });
    const result = await applyRetention({
      region,
      catalogue,
      policy,
      readFacts,
      journal: createRetentionJournal(db, now),
      isNeededAgain: (name) => isFileNeeded(options, destroyedKeys, name, unanswered),
      clock,
      dryRun,
      ...(signal && { signal }),
      onProgress: (progress) => onProgress?.({ phase: 'removing', ...progress }),
    });
    let removedUnfinished = 0;
    if (!dryRun) {
      // As long as an orphan stays: an upload that goes on for days is still one that goes on.
      removedUnfinished = await region.removeUnfinished(new Date(clock.now() - policy.fullEveryDays * dayMs));
      await failpoint('retention.unfinished_removed');
    }
    return { ...result, catalogue, removedUnfinished, unanswered };
  } finally {
    watch.end();
  }
}

/** What was recorded as unreferenced long ago, as far as the tenant's own database and the vault say so today. */
async function readUnreferencedFiles(
  { db, policy, findUnneededFiles }: RunRetentionOptions,
  destroyedKeys: ReadonlySet<string>,
  now: Date,
  unanswered: Map<TenantId, unknown>,
): Promise<ReadonlyMap<ObjectName, Date>> {
  const found = new Map<ObjectName, Date>();
  const recorded = await loadUnreferencedFiles(db, new Date(now.getTime() - policy.days * dayMs));
  for (const [tenantId, files] of recorded) {
    // Its files go for that, and there is no database to ask.
    if (destroyedKeys.has(tenantId)) continue;
    try {
      const unneeded = await findUnneededFiles(tenantId, [...files.keys()]);
      for (const name of unneeded) found.set(filesPrefix + name, files.get(name)!);
    } catch (error) {
      unanswered.set(tenantId, error);
    }
  }
  return found;
}

/** What nobody can tell at the moment is needed: one tenant's database that does not answer keeps no other's objects. */
async function isFileNeeded(
  { findUnneededFiles }: RunRetentionOptions,
  destroyedKeys: ReadonlySet<string>,
  object: ObjectName,
  unanswered: Map<TenantId, unknown>,
): Promise<boolean> {
  if (!object.startsWith(filesPrefix)) return false;
  const name = object.slice(filesPrefix.length);
  const tenantId = name.slice(0, name.indexOf('/')) as TenantId;
  if (destroyedKeys.has(tenantId)) return false;
  try {
    return !(await findUnneededFiles(tenantId, [name])).includes(name);
  } catch (error) {
    unanswered.set(tenantId, error);
    return true;
  }
}
