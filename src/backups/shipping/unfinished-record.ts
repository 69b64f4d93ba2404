import { type Lsn, walSegmentBytes } from '#src/kernel/index.ts';
import type { ShippedPlace } from './shipped-place.ts';
import type { WalPosition } from './timeline.ts';

/** Of initdb, which ours keeps; src/include/access/xlog_internal.h. */
const pageBytes = 8192n;
const headerBytes = { segment: 40n, page: 24n };
/** xl_tot_len, the first field of a record (xlogrecord.h), little-endian on every platform that we run on. */
const lengthBytes = 4n;

/**
 * What is held behind `from`, up to `held`, is only the beginning of a record: a server that died in the middle of writing it, of which nobody was told anything. False when it
 * is a whole one, and when it cannot be told.
 */
export async function isUnfinishedRecord(
  places: readonly ShippedPlace[],
  from: WalPosition,
  held: Lsn,
): Promise<boolean> {
  const start = behindHeader(from.lsn);
  if (held < start + lengthBytes) return true;
  for (const place of places) {
    const bytes = await read(place, from.timeline, start).catch(() => undefined);
    if (bytes) return endOfRecord(start, bytes.readUInt32LE()) > held;
  }
  return false;
}

/** Where a record goes on that would begin at the header of a page. */
function behindHeader(lsn: Lsn): Lsn {
  if (lsn % pageBytes !== 0n) return lsn;
  return lsn + (lsn % walSegmentBytes === 0n ? headerBytes.segment : headerBytes.page);
}

/** A record that does not fit into its page goes on behind the headers of the next ones. */
function endOfRecord(start: Lsn, length: number): Lsn {
  let at = start;
  for (let left = BigInt(length); left > 0n; ) {
    at = behindHeader(at);
    const free = pageBytes - (at % pageBytes);
    const part = left < free ? left : free;
    at += part;
    left -= part;
  }
  return at;
}

async function read(place: ShippedPlace, timeline: number, lsn: Lsn): Promise<Buffer | undefined> {
  for await (const piece of place.pieces(timeline, lsn)) {
    if (piece.start > lsn) return undefined;
    if (piece.end < lsn + lengthBytes) continue;
    const content = await piece.open();
    const offset = Number(lsn - piece.start);
    if (content) return content.subarray(offset, offset + Number(lengthBytes));
  }
  return undefined;
}
