import type { ShippedExtent, ShippedWal, WalPlace } from '#src/clusters/index.ts';
import { formatLsn, type Lsn, segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { shippingErrors } from './errors.ts';
import {
  createRegionPlace,
  createSpoolPlace,
  type Piece,
  type ShippedPlace,
  type SpoolFiles,
} from './shipped-place.ts';
import { parseTimelineHistory, type TimelineStep } from './timeline.ts';
import type { WalOwner } from './wal-objects.ts';

export interface OpenShippedWalOptions extends WalOwner {
  readonly regions: readonly RegionStore[];
  readonly spool: SpoolFiles;
}

/** A place that was asked: what it knows, or why it is left out. */
interface Asked {
  readonly place: ShippedPlace;
  holds: boolean;
  histories: ReadonlyMap<number, TimelineStep[]>;
  problem?: string;
}

/** One timeline of the line that leads on from a place, and what is held of it. */
interface Stage {
  readonly timeline: number;
  readonly begin: Lsn;
  /** Where the next one branches off; undefined: the newest. */
  readonly switchedAt: Lsn | undefined;
  readonly pieces: readonly Piece[];
}

const segmentDeadlineMs = 60_000;
/** Chunks become segments while they are read. */
const attempts = 3;

/**
 * The WAL of a cluster that lies in any region or in the shipper's spool, as one: where one of them has a hole, another may not. Everything that is given out was
 * opened, so it is genuine.
 */
export function openShippedWal({ regions, spool, ...owner }: OpenShippedWalOptions): ShippedWal {
  const places = [createSpoolPlace(spool, owner), ...regions.map((store) => createRegionPlace(store, owner))];
  let usable: readonly ShippedPlace[] = places;
  /** As described last: a segment must be held up to here. */
  let expectedEnd = 0n;

  async function describe(from: WalPlace, { withinMs }: { readonly withinMs: number }): Promise<ShippedExtent> {
    const until = performance.now() + withinMs;
    const asked = await Promise.all(places.map((place) => ask(place, from.timeline, until)));
    const answering = () => asked.filter(({ problem }) => problem === undefined);
    const line = lineFrom(from, mergedHistories(answering()));
    const stages: Stage[] = [];
    for (const { timeline, begin, switchedAt } of line) {
      const read = ({ place }: Asked) => collect(place.pieces(timeline, begin > from.lsn ? begin : from.lsn));
      const found = await Promise.all(answering().map((one) => guard(one, until, () => read(one))));
      stages.push({ timeline, begin, switchedAt, pieces: found.flatMap((pieces) => pieces ?? []) });
    }
    usable = answering().map(({ place }) => place);
    const reached = follow(from.lsn, stages);
    expectedEnd = reached.end;
    const isAll = !stages.some(({ pieces, switchedAt }) =>
      pieces.some(({ end }) => least(end, switchedAt) > reached.end),
    );
    return {
      line: reached.line,
      end: reached.end,
      isComplete: isAll && answering().some(({ holds }) => holds),
      places: asked.map(({ place: { name }, holds, problem }) => ({
        name,
        ...(problem !== undefined ? { problem } : holds ? {} : { problem: 'there is nothing in it' }),
      })),
    };
  }

  async function openSegment(timeline: number, start: Lsn): Promise<Buffer | undefined> {
    const wanted = least(start + walSegmentBytes, expectedEnd);
    let lastError: unknown;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const found = await Promise.all(
        usable.map((place) =>
          within(performance.now() + segmentDeadlineMs, collect(place.pieces(timeline, start))).catch((error) => {
            lastError = error;
            return [];
          }),
        ),
      );
      const data = Buffer.alloc(Number(walSegmentBytes));
      let end = start;
      for (const piece of inOrder(found.flat())) {
        if (piece.end <= end || piece.start >= start + walSegmentBytes) continue;
        if (piece.start > end) break;
        const content = await within(performance.now() + segmentDeadlineMs, piece.open()).catch((error) => {
          lastError = error;
          return undefined;
        });
        if (!content) continue;
        content.copy(data, Number(end - start), Number(end - piece.start));
        end = least(piece.end, start + walSegmentBytes);
      }
      if (end >= wanted) return data;
    }
    if (lastError !== undefined) throw lastError;
    throw shippingErrors.FH_WAL_GAP({ detail: `timeline ${timeline}, in the segment at ${formatLsn(start)}` });
  }

  return {
    describe,
    openSegment,
    async openHistory(timeline) {
      for (const place of usable) {
        const until = performance.now() + segmentDeadlineMs;
        const content = await within(until, place.history(timeline)).catch(() => undefined);
        if (content) return content;
      }
      return undefined;
    },
    close: async () => {},
  };
}

async function ask(place: ShippedPlace, above: number, until: number): Promise<Asked> {
  const asked: Asked = { place, holds: false, histories: new Map() };
  await guard(asked, until, async () => {
    const timelines = await place.timelines();
    const histories = new Map<number, TimelineStep[]>();
    for (const timeline of timelines.filter((each) => each > above)) {
      const content = await place.history(timeline);
      if (content) histories.set(timeline, parseTimelineHistory(content));
    }
    asked.holds = timelines.length > 0;
    asked.histories = histories;
  });
  return asked;
}

/** One place that fails, or does not answer in time, is left out, and the others are not. */
async function guard<T>(asked: Asked, until: number, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await within(until, work());
  } catch (error) {
    asked.problem = error instanceof Error ? error.message : String(error);
    return undefined;
  }
}

async function within<T>(until: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error('it did not answer in time')),
    Math.max(0, until - performance.now()),
  );
  // Whichever comes second is nobody's.
  work.catch(() => {});
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}

function mergedHistories(asked: readonly Asked[]): Map<number, TimelineStep[]> {
  return new Map(asked.flatMap(({ histories }) => [...histories]));
}

/** The timelines from that of `from` to the newest. Throws when the cluster has left that line before `from`. */
function lineFrom(from: WalPlace, histories: ReadonlyMap<number, TimelineStep[]>) {
  const newest = Math.max(from.timeline, ...histories.keys());
  if (newest === from.timeline) return [{ timeline: newest, begin: 0n, switchedAt: undefined }];
  const steps = histories.get(newest)!;
  const first = steps.findIndex(({ timeline, switchedAt }) => timeline === from.timeline && switchedAt >= from.lsn);
  if (first < 0)
    throw shippingErrors.FH_WAL_GAP({
      detail: `timeline ${newest} of the cluster does not lead on from ${formatLsn(from.lsn)} on timeline ${from.timeline}`,
    });
  const later = [...steps.slice(first), { timeline: newest, switchedAt: undefined }];
  return later.map(({ timeline, switchedAt }, index) => ({
    timeline,
    begin: index === 0 ? 0n : steps[first + index - 1]!.switchedAt,
    switchedAt,
  }));
}

/** How far the pieces lead on without a hole. The first segment of a timeline holds its parent's bytes up to the branch as well. */
function follow(from: Lsn, stages: readonly Stage[]): Pick<ShippedExtent, 'line' | 'end'> {
  let end = from;
  const line: { timeline: number; begin: Lsn }[] = [];
  for (const { timeline, begin, switchedAt, pieces } of stages) {
    const first = segmentStart(begin > from ? begin : from);
    if (line.length > 0 && (end < first || !pieces.some((piece) => piece.start <= first && piece.end > first))) break;
    line.push({ timeline, begin });
    for (const piece of inOrder(pieces)) if (piece.start <= end && piece.end > end) end = piece.end;
    end = least(end, switchedAt);
  }
  return { line, end };
}

function inOrder(pieces: readonly Piece[]): Piece[] {
  return pieces.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
}

function least(a: Lsn, b: Lsn | undefined): Lsn {
  return b !== undefined && b < a ? b : a;
}

async function collect(pieces: AsyncIterable<Piece>): Promise<Piece[]> {
  return Array.fromAsync(pieces);
}
