/** Finds the delimiter of a CSV file from its beginning. */
import type { Import } from '../api.ts';

export type Delimiter = Import['delimiter'];
export const delimiters: readonly Delimiter[] = [',', ';', '\t', '|'];
const maxRecords = 50;

/**
 * The delimiter that cuts most records into as many cells as the header has, weighed by the number of cells;
 * a comma when nothing cuts (one column).
 */
export function sniffDelimiter(start: string): Delimiter {
  let best: { delimiter: Delimiter; score: number } = { delimiter: ',', score: 0 };
  for (const delimiter of delimiters) {
    const counts = countPerRecord(start, delimiter);
    const header = counts[0] ?? 0;
    if (header === 0) continue;
    const agreeing = counts.filter((count) => count === header).length;
    const score = (agreeing / counts.length) * (1 + Math.log2(header + 1));
    if (score > best.score) best = { delimiter, score };
  }
  return best.delimiter;
}

/** Delimiters outside quotes in each of the first records; the last one may be cut off and does not count, unless it is alone. */
function countPerRecord(text: string, delimiter: string): number[] {
  const counts: number[] = [];
  let count = 0;
  let quoted = false;
  let empty = true;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === delimiter) count++;
    else if (character === '\n') {
      if (!empty) counts.push(count);
      if (counts.length === maxRecords) return counts;
      count = 0;
      empty = true;
      continue;
    }
    empty = false;
  }
  if (counts.length === 0) counts.push(count);
  return counts;
}
