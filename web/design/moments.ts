/** Moments on a line of time: stretches in which they can be chosen, and the nearest one where they cannot. Milliseconds since 1970 everywhere. */

/** `to` is not part of it. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export function isWithin(stretches: readonly Stretch[], at: number): boolean {
  return stretches.some(({ from, to }) => from <= at && at < to);
}

/** Whole seconds in a stretch, on either side of a moment that is in none. */
export function nearestSeconds(
  stretches: readonly Stretch[],
  at: number,
): { readonly earlier: number | undefined; readonly later: number | undefined } {
  let earlier: number | undefined;
  let later: number | undefined;
  for (const { from, to } of stretches) {
    const first = Math.ceil(from / 1_000) * 1_000;
    const last = Math.ceil(to / 1_000) * 1_000 - 1_000;
    if (last < first) continue;
    if (last <= at && (earlier === undefined || last > earlier)) earlier = last;
    if (first >= at && (later === undefined || first < later)) later = first;
  }
  return { earlier, later };
}

/** One line of several regions: what at least one of them has. */
export function unite(all: readonly Stretch[]): readonly Stretch[] {
  const united: { from: number; to: number }[] = [];
  for (const { from, to } of all.toSorted((a, b) => a.from - b.from)) {
    const last = united.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else united.push({ from, to });
  }
  return united;
}

/** What a part of the line shows: as long as asked for, inside the whole, and with the moment in its middle where possible. */
export function windowAround(whole: Stretch, spanMs: number, at: number): Stretch {
  const length = Math.min(spanMs, whole.to - whole.from);
  const from = Math.min(Math.max(at - length / 2, whole.from), whole.to - length);
  return { from, to: from + length };
}

const pad = (value: number) => String(value).padStart(2, '0');

/** As `<input type="datetime-local">` has it: the reader's own time, to the second. */
export function toLocalInput(at: number): string {
  const date = new Date(at);
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day}T${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** undefined: not a whole moment yet. Browsers leave the seconds away when they are zero. */
export function fromLocalInput(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?$/.test(text)) return undefined;
  const at = new Date(text).getTime();
  return Number.isNaN(at) ? undefined : at;
}
