import { type Lsn, parseLsn, segmentStart } from '#src/kernel/index.ts';

/** A place in the WAL of one line of timelines. */
export interface WalPosition {
  readonly timeline: number;
  readonly lsn: Lsn;
}

export interface TimelineStep {
  readonly timeline: number;
  /** The next timeline of the line branched off here. */
  readonly switchedAt: Lsn;
}

/** Parses `0000000N.history`: one step per ancestor, oldest first (`timeline<TAB>LSN<TAB>reason`; `#` begins a comment). */
export function parseTimelineHistory(content: Uint8Array): TimelineStep[] {
  const steps: TimelineStep[] = [];
  for (const line of Buffer.from(content).toString('latin1').split('\n')) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const match = /^(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(text);
    if (!match) throw new Error('a line of the timeline history is not one');
    const step = { timeline: Number(match[1]), switchedAt: parseLsn(match[2]!) };
    if (steps.length > 0 && step.timeline <= steps.at(-1)!.timeline) throw new Error('timelines do not increase');
    steps.push(step);
  }
  return steps;
}

export type NextPlace =
  | { readonly kind: 'go on'; readonly from: WalPosition }
  /** What lies behind `lostFrom` on our old timeline never became part of the server's history. */
  | { readonly kind: 'diverged'; readonly from: WalPosition; readonly lostFrom: WalPosition };

/**
 * Where to go on receiving after `position` from a server on timeline `current` whose ancestors are `steps`. A new timeline is received from the start of
 * its first segment, which the server copied from the old one: so every segment file of a timeline is complete by itself.
 */
export function nextPlace(position: WalPosition, current: number, steps: readonly TimelineStep[]): NextPlace {
  if (position.timeline === current) return { kind: 'go on', from: position };
  const at = steps.findIndex((step) => step.timeline === position.timeline);
  const step = steps[at];
  if (step && position.lsn < step.switchedAt) return { kind: 'go on', from: position };
  const branch = step ?? steps.at(-1);
  if (!branch) throw new Error(`timeline ${current} has no ancestor and is not ${position.timeline}`);
  const timeline = step ? (steps[at + 1]?.timeline ?? current) : current;
  const from = { timeline, lsn: segmentStart(branch.switchedAt) };
  // All of the old timeline is held. A server that was recovered from a region has none of it, so it must not be asked for its end.
  if (step?.switchedAt === position.lsn) return { kind: 'go on', from };
  return {
    kind: 'diverged',
    from,
    lostFrom: { timeline: position.timeline, lsn: step ? step.switchedAt : position.lsn },
  };
}

/** Negative: `a` comes first. Places of one line of timelines; a later timeline comes later. */
export function comparePositions(a: WalPosition, b: WalPosition): number {
  if (a.timeline !== b.timeline) return a.timeline - b.timeline;
  return a.lsn < b.lsn ? -1 : a.lsn > b.lsn ? 1 : 0;
}
