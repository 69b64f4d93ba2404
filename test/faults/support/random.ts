/** Reproducible chance: FREEHOLD_SEED, or `usual`, or a new seed. Whoever uses it prints the seed. */
import { randomInt } from 'node:crypto';

export interface Chance {
  readonly seed: number;
  /** 0 ≤ n < below */
  below(limit: number): number;
  pick<T>(items: readonly T[]): T;
  shuffle<T>(items: readonly T[]): T[];
}

export function startChance(usual: number = randomInt(1, 2 ** 31)): Chance {
  const seed = Number(process.env.FREEHOLD_SEED ?? usual);
  let state = seed >>> 0;
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    seed,
    below,
    pick: (items) => items[below(items.length)]!,
    shuffle(items) {
      const rest = [...items];
      for (let index = rest.length - 1; index > 0; index--) {
        const other = below(index + 1);
        [rest[index], rest[other]] = [rest[other]!, rest[index]!];
      }
      return rest;
    },
  };
}
