/** A place in the WAL in bytes, as PostgreSQL counts them (pg_lsn). */
export type Lsn = bigint;

/** Bytes of one WAL segment; the default of initdb, which ours keeps. */
export const walSegmentBytes = 16n * 1024n * 1024n;

/** `16/B374D848` → number. Throws TypeError on anything else. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  if (!match) throw new TypeError(`not an LSN: ${text}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** Number → `16/B374D848`, as PostgreSQL prints it. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();
}

/** 16 lower-case hexadecimal digits, so that names sort as places do. */
export function lsnName(lsn: Lsn): string {
  return lsn.toString(16).padStart(16, '0');
}

/** First byte of the segment that holds `lsn`. */
export function segmentStart(lsn: Lsn): Lsn {
  return lsn - (lsn % walSegmentBytes);
}

/** Name of the segment file in pg_wal: timeline, then the segment number in two halves, upper-case hexadecimal. */
export function segmentFileName(timeline: number, lsn: Lsn): string {
  const number = lsn / walSegmentBytes;
  const perHigh = 0x100000000n / walSegmentBytes;
  const part = (value: bigint | number) => value.toString(16).toUpperCase().padStart(8, '0');
  return part(timeline) + part(number / perHigh) + part(number % perHigh);
}

/** 8 lower-case hexadecimal digits. */
export function timelineName(timeline: number): string {
  return timeline.toString(16).padStart(8, '0');
}
