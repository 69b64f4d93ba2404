/**
 * How long a door takes for what is known and for what is not, in pairs: both acts of a pair follow one another in random order, so whatever slows the machine slows both. Nothing
 * here knows how fast a machine is. For `bench/timing.ts` and `equal-time.test.ts`.
 */
import type { Door } from './doors.fixture.ts';

export interface Samples {
  readonly known: readonly number[];
  readonly unknown: readonly number[];
}

/** Milliseconds, pair by pair. `reset` comes before every act, `coin` says which of the two is first; the first pairs only warm up. */
export async function samplePairs(
  { act }: Pick<Door, 'act'>,
  pairs: number,
  { reset, coin, warmUp = 20 }: { reset(): Promise<void>; coin: () => boolean; warmUp?: number },
): Promise<Samples> {
  const times = { known: [] as number[], unknown: [] as number[] };
  for (let turn = -warmUp; turn < pairs; turn++) {
    const kinds = coin() ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const);
    for (const kind of kinds) {
      await reset();
      const startedMs = performance.now();
      await act(kind, Math.abs(turn));
      const ms = performance.now() - startedMs;
      if (turn >= 0) times[kind].push(ms);
    }
  }
  return times;
}

/** Student's t of the differences of pairs, of the nine tenths that lie nearest to their median: a pause of the machine in one of two acts drowns everything else. */
export function pairedT({ known, unknown }: Samples): number {
  const all = known.map((ms, at) => ms - unknown[at]!);
  const middle = median(all);
  const kept = all
    .toSorted((a, b) => Math.abs(a - middle) - Math.abs(b - middle))
    .slice(0, Math.ceil(all.length * 0.9));
  const average = mean(kept);
  const variance = kept.reduce((sum, value) => sum + (value - average) ** 2, 0) / (kept.length - 1);
  return average / Math.sqrt(variance / kept.length);
}

export function mean(list: readonly number[]): number {
  return list.reduce((sum, value) => sum + value, 0) / list.length;
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;
}

/** xorshift32: the same order for the same seed. */
export function randomBits(start: number): () => boolean {
  let state = start | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state & 1) === 1;
  };
}
