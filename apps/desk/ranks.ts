/**
 * Places in a board column as strings that compare bytewise: an eight-digit whole part in base 36, then an optional fraction.
 * - The top and the bottom always have room: whole part ± 1, without growing.
 * - Between two neighbours there is always a string: the fraction grows by about one digit per five moves into the same gap.
 *   When one gets longer than `maxRankLength`, the column is numbered anew (columns.ts).
 * Invariant: a fraction never ends in 0, else nothing would fit before it.
 */
const digits = '0123456789abcdefghijklmnopqrstuvwxyz';
const base = digits.length;
const wholeLength = 8;
const middle = base ** wholeLength / 2;

export const maxRankLength = 40;
export const rankPattern = /^[0-9a-z]{8,200}$/;

function wholeOf(rank: string): number {
  return Number.parseInt(rank.slice(0, wholeLength), base);
}

function formatWhole(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0 || value >= base ** wholeLength)
    throw new Error(`rank ${value} is out of range`);
  return value.toString(base).padStart(wholeLength, '0');
}

/** `count` places in ascending order, all below the last card (`after`); an empty column begins in the middle. */
export function ranksAfter(after: string | undefined, count: number): string[] {
  const first = after === undefined ? middle : wholeOf(after) + 1;
  return Array.from({ length: count }, (_, index) => formatWhole(first + index));
}

/** `count` places in ascending order, all above the first card (`before`). */
export function ranksBefore(before: string | undefined, count: number): string[] {
  const end = before === undefined ? middle + count : wholeOf(before);
  return Array.from({ length: count }, (_, index) => formatWhole(end - count + index));
}

/** A place after `previous` and before `next`; `previous < next` must hold. */
export function rankBetween(previous: string, next: string): string {
  if (previous >= next) throw new Error('ranks are out of order');
  const low = wholeOf(previous);
  const high = wholeOf(next);
  if (high - low > 1) return formatWhole(Math.floor((low + high) / 2));
  return fractionBetween(previous, next);
}

function fractionBetween(previous: string, next: string): string {
  let result = '';
  // Once the result is smaller than `next` at some digit, `next` no longer bounds it.
  let bounded = true;
  for (let index = 0; ; index++) {
    const low = index < previous.length ? digits.indexOf(previous[index]!) : 0;
    const high = bounded ? (index < next.length ? digits.indexOf(next[index]!) : 0) : base;
    if (high - low > 1) return result + digits[Math.floor((low + high) / 2)];
    result += digits[low];
    if (high - low === 1) bounded = false;
  }
}
