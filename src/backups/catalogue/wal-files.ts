import { type Lsn, segmentFileName, segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import type { UsedPiece } from './coverage.ts';
import type { RestorePlan } from './plan-types.ts';

/** A file as `restore_command` is asked for it. */
export interface WalFile {
  /** In pg_wal, for example `000000020000000000000007`. */
  readonly fileName: string;
  readonly start: Lsn;
  /** Bytes from the beginning of the file on; what lies behind the last is zero up to 16 MiB. */
  readonly parts: readonly UsedPiece[];
}

/**
 * The segments of a plan. The file in which a timeline begins carries the child's number and the parent's bytes up to the switch: PostgreSQL asks for the
 * newest timeline of the line that has reached the segment.
 */
export function walFilesOf({ wal, line }: Pick<RestorePlan, 'wal' | 'line'>): readonly WalFile[] {
  const files: WalFile[] = [];
  const [first, last] = [wal[0], wal.at(-1)];
  if (!first || !last) return files;
  let index = 0;
  for (let start = segmentStart(first.from); start < last.to; start += walSegmentBytes) {
    const end = start + walSegmentBytes;
    while (wal[index]!.to <= start) index++;
    const parts: UsedPiece[] = [];
    for (let next = index; next < wal.length && wal[next]!.from < end; next++) {
      const { piece, from, to } = wal[next]!;
      parts.push({ piece, from: from > start ? from : start, to: to < end ? to : end });
    }
    const owner = line.findLast((stretch) => segmentStart(stretch.start) <= start)!;
    files.push({ fileName: segmentFileName(owner.timeline, start), start, parts });
  }
  return files;
}
