import { formatLsn, type Lsn, parseLsn } from '#src/kernel/index.ts';

/**
 * How far to replay; never "as far as it goes" by default, because PostgreSQL takes a hole in the WAL for its end and promotes there
 * without an error (facts F02, F03). Every kind but `end` makes PostgreSQL itself refuse to promote before it was reached.
 */
export type RecoveryTarget =
  /** Commits up to this time, by the time stamps of the commits themselves. Reached only when the WAL holds a later commit or abort. */
  | { readonly kind: 'time'; readonly time: Date; readonly inclusive?: boolean }
  /** Records that begin before this place; with `inclusive` also the one that begins there. A record at or after it must be in the WAL. */
  | { readonly kind: 'lsn'; readonly lsn: Lsn; readonly inclusive?: boolean }
  /** Up to and with this transaction's commit or abort; without `inclusive` up to the one before. */
  | { readonly kind: 'xid'; readonly xid: string; readonly inclusive?: boolean }
  /** A restore point, `pg_create_restore_point`. */
  | { readonly kind: 'name'; readonly name: string }
  /**
   * All there is, for when everything else is lost. An error unless replay came at least to `atLeast`, and to a commit of `committedAt` or
   * later: both must be known from elsewhere, because a hole looks like the end. The last bytes of the WAL may be half of a record.
   */
  | { readonly kind: 'end'; readonly atLeast: Lsn; readonly committedAt?: Date };

/** What PostgreSQL shall stop at. Default of `inclusive`: true, as in PostgreSQL. Throws TypeError on a target that is none. */
export function targetSettings(target: RecoveryTarget): Record<string, string> {
  if (target.kind === 'end') return {};
  if (target.kind === 'name') {
    // MAXFNAMELEN of PostgreSQL, with its closing zero; a longer name could never be found.
    if (target.name === '' || Buffer.byteLength(target.name) > 63)
      throw new TypeError('a restore point has a name of 1 to 63 bytes');
    return { recovery_target_name: target.name };
  }
  const recovery_target_inclusive = target.inclusive === false ? 'off' : 'on';
  if (target.kind === 'time')
    return {
      recovery_target_time: target.time.toISOString().replace('T', ' ').replace('Z', '+00'),
      recovery_target_inclusive,
    };
  if (target.kind === 'lsn') return { recovery_target_lsn: formatLsn(target.lsn), recovery_target_inclusive };
  if (!/^[1-9]\d{0,19}$/.test(target.xid)) throw new TypeError(`not a transaction id: ${target.xid}`);
  return { recovery_target_xid: target.xid, recovery_target_inclusive };
}

/** The last line of the history file that PostgreSQL writes when it leaves a timeline. */
export interface TimelineSwitch {
  /** The timeline that was left. */
  readonly parent: number;
  /** First byte of the new one. */
  readonly lsn: Lsn;
  /** In PostgreSQL's words, for example `before 2026-11-22 03:00:00+00` or `at restore point "x"`. */
  readonly reason: string;
}

export function parseTimelineHistory(text: string): TimelineSwitch[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)\s*(.*)$/i.exec(line);
      if (!match) throw new TypeError(`not a line of a timeline history: ${line}`);
      return { parent: Number(match[1]), lsn: parseLsn(match[2]!), reason: match[3]! };
    });
}

/** Whether PostgreSQL left the timeline for the reason we asked for; a file on its disk says it, not a message. */
export function isReached(target: RecoveryTarget, left: TimelineSwitch, lastCommitAt: Date | undefined): boolean {
  const { reason } = left;
  switch (target.kind) {
    case 'time':
      return /^before \d{4}-/.test(reason);
    case 'lsn': {
      // Names the record at which it stopped, the first one at or behind the target.
      const stopped = /^(?:before|after) LSN ([0-9A-F]+\/[0-9A-F]+)$/i.exec(reason);
      return stopped !== null && parseLsn(stopped[1]!) >= target.lsn;
    }
    case 'xid':
      return new RegExp(`^(before|after) transaction ${target.xid}$`).test(reason);
    case 'name':
      return reason === `at restore point "${target.name}"`;
    case 'end':
      return (
        left.lsn >= target.atLeast &&
        (target.committedAt === undefined || (lastCommitAt !== undefined && lastCommitAt >= target.committedAt))
      );
  }
}

/** For messages. */
export function describeTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'time':
      return `the time ${target.time.toISOString()}`;
    case 'lsn':
      return `the place ${formatLsn(target.lsn)}`;
    case 'xid':
      return `transaction ${target.xid}`;
    case 'name':
      return `the restore point ${JSON.stringify(target.name)}`;
    case 'end':
      return `the end of the WAL, ${formatLsn(target.atLeast)} or later`;
  }
}
