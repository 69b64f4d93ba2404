import { isDeepStrictEqual } from 'node:util';
import { type Clock, failpoint } from '#src/kernel/index.ts';
import type { ObjectInfo, ObjectName, RegionStore } from '#src/objects/index.ts';
import type { Catalogue, StoredObject } from '../catalogue/types.ts';
import { decideRetention } from './decide.ts';
import type { RetentionDecision, RetentionPolicy, RetentionRequest } from './types.ts';

/** What the decision needs to know besides the region: who works on what, who holds what. */
export type RetentionFacts = Omit<RetentionRequest, 'catalogue' | 'policy' | 'now'>;

/** Where it is written down what goes, before it goes. */
export interface RetentionJournal {
  begin(decision: RetentionDecision): Promise<RetentionRecord>;
}

export interface RetentionRecord {
  /** What goes next, and what went until now. Durable when it resolves. */
  note(names: readonly ObjectName[], until: Removed): Promise<void>;
  finish(result: Removed): Promise<void>;
}

export interface Removed {
  readonly removedObjects: number;
  readonly removedBytes: number;
}

export interface ApplyRetentionOptions {
  readonly region: Pick<RegionStore, 'region' | 'stat' | 'remove'>;
  /** Of this region, built just before. */
  readonly catalogue: Catalogue;
  readonly policy: RetentionPolicy;
  /** Asked again before each removal: a backup or a restore may have begun meanwhile. */
  readonly readFacts: () => Promise<RetentionFacts>;
  /** The last look before an object goes: whether somebody needs it again, for example a tenant a file. Default: nobody. */
  readonly isNeededAgain?: (name: ObjectName) => Promise<boolean>;
  readonly journal: RetentionJournal;
  readonly clock: Clock;
  /** Removals so far, and how many there will be. */
  readonly onProgress?: (progress: { readonly done: number; readonly all: number }) => void;
  /** Decides, and changes nothing: neither the region nor the journal. Default: false. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface RetentionResult extends Removed {
  readonly decision: RetentionDecision;
  /** Were to go, and stayed: somebody needs them by now, or they are not what was listed any more. */
  readonly spared: readonly ObjectName[];
}

/** Names that are written down at once. */
const noteCount = 200;

/**
 * Decides about a region and removes what may go. Killed anywhere, the next run goes on: what is gone stays gone, what was written down and is still there is
 * decided about afresh. Rejects when the region is away (FH_REGION_UNAVAILABLE) or the signal aborts; what went until then is in the journal.
 */
export async function applyRetention(options: ApplyRetentionOptions): Promise<RetentionResult> {
  const { region, catalogue, policy, readFacts, journal, clock, isNeededAgain, dryRun = false, signal } = options;
  const now = new Date(clock.now());
  let facts = await readFacts();
  const decision = decideRetention({ ...facts, catalogue, policy, now });
  const nothing = { decision, removedObjects: 0, removedBytes: 0, spared: [] };
  if (dryRun) return nothing;

  const record = await journal.begin(decision);
  await failpoint('retention.begun');
  const listed = objectsOf(catalogue);
  let allowed = new Set(decision.remove);
  const spared: ObjectName[] = [];
  let removedObjects = 0;
  let removedBytes = 0;

  /** Whether it may still go. Facts that changed are decided about again, and only ever spare: nothing is added to what was written down. */
  async function mayGo(name: ObjectName): Promise<boolean> {
    const latest = await readFacts();
    if (!isDeepStrictEqual(latest, facts)) {
      facts = latest;
      const again = new Set(decideRetention({ ...facts, catalogue, policy, now }).remove);
      allowed = allowed.intersection(again);
    }
    return allowed.has(name) && !(await isNeededAgain?.(name));
  }

  for (let offset = 0; offset < decision.remove.length; offset += noteCount) {
    const names = decision.remove.slice(offset, offset + noteCount);
    await record.note(names, { removedObjects, removedBytes });
    await failpoint('retention.noted');
    for (const [index, name] of names.entries()) {
      signal?.throwIfAborted();
      options.onProgress?.({ done: offset + index, all: decision.remove.length });
      const found = await region.stat(name);
      if (!found) continue;
      if (!isSame(listed.get(name), found) || !(await mayGo(name))) {
        spared.push(name);
        continue;
      }
      await region.remove(name);
      removedObjects++;
      removedBytes += found.sizeBytes;
      await failpoint('retention.removed');
    }
  }
  await record.finish({ removedObjects, removedBytes });
  await failpoint('retention.finished');
  return { decision, removedObjects, removedBytes, spared };
}

/** Services of S3 round the time of an object in one of two answers, up or down to the second. */
const timeRoundedByMs = 1_000;

function isSame(before: StoredObject | undefined, now: ObjectInfo): boolean {
  if (before?.sizeBytes !== now.sizeBytes) return false;
  return Math.abs(before.storedAt.getTime() - now.createdAt.getTime()) <= timeRoundedByMs;
}

export function objectsOf({ clusters, data, dumps, files }: Catalogue): ReadonlyMap<ObjectName, StoredObject> {
  const all = new Map<ObjectName, StoredObject>(data);
  const add = (objects: Iterable<StoredObject>) => {
    for (const object of objects) all.set(object.name, object);
  };
  add(dumps);
  add(files);
  for (const { backups, timelines, pieces, unreadablePieces } of clusters.values()) {
    add(unreadablePieces);
    for (const backup of backups) add(backup.objects);
    for (const group of pieces.values()) add(group);
    add(timelines.values());
  }
  return all;
}
