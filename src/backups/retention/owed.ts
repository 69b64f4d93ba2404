import type { ClusterId, Lsn } from '#src/kernel/index.ts';
import type { ObjectName } from '#src/objects/types.ts';
import type { Catalogue } from '../catalogue/types.ts';
import type { RetentionRequest } from './types.ts';

/** WAL that a region lacks, and that is copied there from another region, because nobody else has it any more. */
export interface OwedRange {
  readonly timeline: number;
  readonly start: Lsn;
  /** Exclusive. */
  readonly end: Lsn;
}

/** Stretches by the region that lacks them; undefined: nobody can say at the moment. */
export type OwedToRegions = ReadonlyMap<string, readonly OwedRange[]> | undefined;

/** Objects of one region that others may have to be given, with the histories that belong to them. What nobody can say keeps all WAL. */
export function findOwed(
  { region, clusters }: Catalogue,
  clusterId: ClusterId,
  owedTo: OwedToRegions,
): NonNullable<RetentionRequest['owed']> {
  const cluster = clusters.get(clusterId);
  if (!cluster) return [];
  const pieces = [...cluster.pieces.values()].flat();
  if (!owedTo) return [{ region: 'which is not known: the shipper does not answer', names: namesOf(pieces) }];
  return [...owedTo]
    .filter(([other, stretches]) => other !== region && stretches.length > 0)
    .map(([other, stretches]) => {
      const timelines = new Set(stretches.map(({ timeline }) => timeline));
      const isOwed = ({ timeline, start, end }: OwedRange) =>
        stretches.some((one) => one.timeline === timeline && one.start < end && one.end > start);
      const histories = [...cluster.timelines.values()].filter(({ timeline }) => timelines.has(timeline));
      return { region: other, names: namesOf([...pieces.filter(isOwed), ...histories]) };
    });
}

function namesOf(objects: readonly { readonly name: ObjectName }[]): ReadonlySet<ObjectName> {
  return new Set(objects.map(({ name }) => name));
}
