/** `GET /api/tenants/:id/restore-points`: which moments of a tenant can be restored. Times are ISO 8601 of the installation's clock. */
import { queryOptions } from '@tanstack/react-query';
import { apiFetch, type Stretch, unite } from '../../design/index.ts';

interface RestorePoints {
  readonly now: string;
  readonly regions: readonly {
    readonly region: string;
    readonly stretches: readonly { readonly from: string; readonly to: string }[];
    /** The region did not answer: what it holds is what was last seen there. */
    readonly isAway: boolean;
  }[];
  readonly points: readonly {
    readonly at: string;
    readonly kind: 'renamed' | 'suspended' | 'resumed' | 'deleted' | 'operation';
    readonly text: string;
  }[];
}

/** The same in milliseconds since 1970. */
export interface Moments {
  readonly lanes: readonly {
    readonly label: string;
    readonly region: string;
    readonly stretches: readonly Stretch[];
    readonly isAway: boolean;
  }[];
  /** What at least one region has. */
  readonly all: readonly Stretch[];
  /** From the first restorable moment to the last; undefined: there is none. */
  readonly whole: Stretch | undefined;
  /** Newest first. */
  readonly marks: readonly { readonly at: number; readonly label: string }[];
}

export const restorePointsQuery = (tenantId: string) =>
  queryOptions({
    queryKey: ['restore-points', tenantId],
    queryFn: async ({ signal }) =>
      toMoments(
        await apiFetch<RestorePoints>(`/api/tenants/${encodeURIComponent(tenantId)}/restore-points`, { signal }),
      ),
  });

function toMoments({ regions, points }: RestorePoints): Moments {
  const lanes = regions.map(({ region, stretches, isAway }) => ({
    region,
    label: `Region ${region}${isAway ? ', which does not answer now' : ''}`,
    stretches: stretches.map(({ from, to }) => ({ from: Date.parse(from), to: Date.parse(to) })),
    isAway,
  }));
  const all = unite(lanes.flatMap(({ stretches }) => stretches));
  const [first, last] = [all[0], all.at(-1)];
  return {
    lanes,
    all,
    whole: first && last && { from: first.from, to: last.to },
    marks: points.map(({ at, text }) => ({ at: Date.parse(at), label: text })).sort((a, b) => b.at - a.at),
  };
}
