import { formatLsn, type Lsn, walSegmentBytes } from '#src/kernel/index.ts';

const pageBytes = 8192;
const segmentBytes = Number(walSegmentBytes);

/**
 * Why this cannot be the segment that begins at `start`; undefined when nothing speaks against it. Looks at page headers only
 * (XLogPageHeaderData in xlog_internal.h): PostgreSQL checks the records, but takes the first page that is wrong for the end of the WAL,
 * also when more follows (facts E4: zeroed and foreign segments ended recovery early without an error).
 */
export function findSegmentFault(
  bytes: Buffer,
  { timeline, start, systemIdentifier }: { timeline: number; start: Lsn; systemIdentifier: string },
): string | undefined {
  if (bytes.length !== segmentBytes) return `it has ${bytes.length} bytes instead of ${segmentBytes}`;
  const first = parsePage(bytes, 0);
  if (first.magic === 0) return 'it begins with zeros';
  if (first.address !== start) return `it belongs at ${formatLsn(first.address)}`;
  // A segment of a new timeline begins with pages of the old one when the switch is inside it.
  if (first.timeline > timeline) return `it belongs to timeline ${first.timeline}`;
  const owner = bytes.readBigUInt64LE(24).toString();
  if (owner !== systemIdentifier) return `it belongs to the system ${owner}`;
  if (bytes.readUInt32LE(32) !== segmentBytes) return 'its segments have another size';

  let end: number | undefined;
  for (let offset = pageBytes; offset < segmentBytes; offset += pageBytes) {
    const page = parsePage(bytes, offset);
    const fits = page.magic === first.magic && page.address === start + BigInt(offset);
    if (!fits) end ??= offset;
    else if (end !== undefined) return `there is a hole in it at ${formatLsn(start + BigInt(end))}`;
  }
  return undefined;
}

function parsePage(bytes: Buffer, offset: number) {
  return {
    magic: bytes.readUInt16LE(offset),
    timeline: bytes.readUInt32LE(offset + 4),
    address: bytes.readBigUInt64LE(offset + 8),
  };
}
