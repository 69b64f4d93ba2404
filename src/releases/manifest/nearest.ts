/** The one of `names` that is most likely meant by `word`; undefined when none is near. */
export function findNearest(word: string, names: readonly string[]): string | undefined {
  const wanted = plain(word);
  const [best] = names
    .map((name) => ({ name, distance: editDistance(wanted, plain(name)) }))
    .sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(1, Math.floor(wanted.length / 3)) ? best.name : undefined;
}

/** `, did you mean "start"?` or nothing. */
export function didYouMean(word: string, names: readonly string[]): string {
  const nearest = findNearest(word, names);
  return nearest === undefined ? '' : `, did you mean ${JSON.stringify(nearest)}?`;
}

/** `memory_mb` and `memoryMB` are `memoryMb`. Bounded: the distance costs length × length. */
function plain(text: string): string {
  return text
    .slice(0, 60)
    .toLowerCase()
    .replace(/[^a-z0-9.]/g, '');
}

/** Restricted Damerau–Levenshtein: insertions, deletions, substitutions, and neighbours exchanged. */
function editDistance(a: string, b: string): number {
  let older: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(substituted, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, older[j - 2]! + 1);
      row.push(least);
    }
    older = last;
    last = row;
  }
  return last[b.length]!;
}
