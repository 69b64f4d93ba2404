import { type Lsn, segmentStart } from '#src/kernel/index.ts';
import { findLine } from '../catalogue/timelines.ts';
import type { CataloguedPiece, ClusterCatalogue } from '../catalogue/types.ts';

/** Somebody who replays WAL from a place on, along every history that leads on from there. */
export interface WalNeed {
  readonly timeline: number;
  readonly from: Lsn;
  readonly reason: string;
}

/**
 * Who needs a piece of WAL; undefined: nobody. WAL is needed from the beginning of the segment in which the replay of a kept backup begins, to the end of its
 * timeline, the abandoned end included, and on every timeline that left it behind that place.
 */
export function createWalFloors(
  cluster: ClusterCatalogue,
  needs: readonly WalNeed[],
): (piece: CataloguedPiece) => string | undefined {
  const newest = Math.max(0, ...needs.map(({ timeline }) => timeline));
  const floors = new Map([...cluster.pieces.keys()].map((timeline) => [timeline, floorOf(timeline)]));

  function floorOf(timeline: number): { from: Lsn; reason: string } | undefined {
    if (needs.length === 0) return { from: 0n, reason: 'there is no backup yet' };
    if (timeline > newest) return { from: 0n, reason: 'there is no backup of its timeline yet' };
    const line = findLine(cluster, timeline);
    if (!line)
      return { from: 0n, reason: `the history of timeline ${timeline} is missing: nobody knows what needs it` };
    const own = line.at(-1)!;
    let floor: { from: Lsn; reason: string } | undefined;
    for (const need of needs) {
      const stretch = line.find((one) => one.timeline === need.timeline);
      if (!stretch || (stretch.end !== undefined && need.from >= stretch.end)) continue;
      const from = stretch === own ? segmentStart(need.from) : segmentStart(own.start);
      if (!floor || from < floor.from) floor = { from, reason: need.reason };
    }
    return floor;
  }

  return (piece) => {
    const floor = floors.get(piece.timeline);
    return floor && piece.end > floor.from ? floor.reason : undefined;
  };
}
