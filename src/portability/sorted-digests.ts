const digestBytes = 32;
/** Digests held at one time, so that the key below is an integer that a double holds: 32 bits of the digest and 21 of its place. 64 MiB. */
const mostHeld = 2 ** 21;
const allPrefixes = 2 ** 32;

/**
 * Digests in their own order, however many there are: what is too much for one pass is passed over and read again, a range at a time. Equal digests are kept once
 * with their number.
 * @param read gives every digest; called once per pass
 */
export async function forEachSorted(
  read: (take: (digest: Buffer) => void) => Promise<void>,
  each: (digest: Buffer) => void,
  limit = mostHeld,
): Promise<void> {
  let held = Buffer.allocUnsafe(Math.min(limit, 1_024) * digestBytes);
  let counts = new Uint32Array(Math.min(limit, 1_024));
  for (let from = 0; from < allPrefixes; ) {
    let to = allPrefixes;
    let size = 0;
    const at = (index: number) => held.subarray(index * digestBytes, (index + 1) * digestBytes);

    const compact = () => {
      const order = inOrder(held, size);
      const [sorted, sortedCounts] = [Buffer.allocUnsafe(held.length), new Uint32Array(counts.length)];
      let kept = 0;
      for (const index of order) {
        const last = sorted.subarray((kept - 1) * digestBytes, kept * digestBytes);
        if (kept > 0 && at(index).equals(last)) sortedCounts[kept - 1]! += counts[index]!;
        else {
          at(index).copy(sorted, kept * digestBytes);
          sortedCounts[kept++] = counts[index]!;
        }
      }
      [held, counts, size] = [sorted, sortedCounts, kept];
    };

    await read((digest) => {
      const prefix = digest.readUInt32BE();
      if (prefix < from || prefix >= to) return;
      if (size === limit) {
        compact();
        if (size > limit / 2) {
          to = Math.max(from + 1, at(size >> 1).readUInt32BE());
          while (size > 0 && at(size - 1).readUInt32BE() >= to) size--;
          if (prefix >= to) return;
        }
      }
      if (size === counts.length) {
        held = Buffer.concat([held], Math.min(2 * held.length, limit * digestBytes));
        const more = new Uint32Array(Math.min(2 * counts.length, limit));
        more.set(counts);
        counts = more;
      }
      digest.copy(held, size * digestBytes);
      counts[size++] = 1;
    });
    compact();
    for (let index = 0; index < size; index++) for (let n = counts[index]!; n > 0; n--) each(at(index));
    from = to;
  }
}

function inOrder(held: Buffer, size: number): number[] {
  const keys = new Float64Array(size);
  for (let index = 0; index < size; index++) keys[index] = held.readUInt32BE(index * digestBytes) * mostHeld + index;
  keys.sort();
  const order = Array.from(keys, (key) => key % mostHeld);
  const compare = (one: number, other: number) =>
    held.compare(held, other * digestBytes, (other + 1) * digestBytes, one * digestBytes, (one + 1) * digestBytes);
  // Those that begin alike are few.
  for (let start = 0; start < size; ) {
    let end = start + 1;
    while (end < size && Math.floor(keys[end]! / mostHeld) === Math.floor(keys[start]! / mostHeld)) end++;
    if (end - start > 1) {
      const alike = order.slice(start, end).sort(compare);
      for (let index = start; index < end; index++) order[index] = alike[index - start]!;
    }
    start = end;
  }
  return order;
}
