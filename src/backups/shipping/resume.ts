import type { Log } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { Spool } from './spool.ts';
import { comparePositions, type WalPosition } from './timeline.ts';
import type { WalOwner } from './wal-objects.ts';
import { readWal } from './wal-reader.ts';

export interface ResumeOptions {
  readonly spool: Spool;
  readonly regions: readonly RegionStore[];
  readonly owner: WalOwner;
  readonly log: Log;
}

/**
 * Where receiving goes on: at the end of the spool; without one (a new machine) at the end of the region that has most. undefined: nowhere is
 * anything, so at the beginning of the slot. Rejects while the spool is empty and no region answers: what they hold decides.
 */
export async function findResumePosition({ spool, regions, owner, log }: ResumeOptions) {
  const newest = spool.entries().findLast((entry) => entry.kind === 'wal');
  if (newest?.kind === 'wal') return { timeline: newest.timeline, lsn: newest.range.end };
  const answers = await Promise.allSettled(regions.map((store) => readWal({ store, ...owner }).end()));
  const answered = answers.filter((answer) => answer.status === 'fulfilled');
  if (answered.length === 0) throw (answers[0] as PromiseRejectedResult).reason;
  answers.forEach((answer, index) => {
    if (answer.status === 'rejected')
      log.warn('a region does not say what it holds; shipping goes on from what the others hold', {
        region: regions[index]!.region,
        error: answer.reason,
      });
  });
  return answered.reduce<WalPosition | undefined>((furthest, { value }) => {
    if (!value || !furthest) return value ?? furthest;
    return comparePositions(value, furthest) > 0 ? value : furthest;
  }, undefined);
}
