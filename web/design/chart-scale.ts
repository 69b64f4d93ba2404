/** Scales of charts over time: where a value lies, and which lines help to read it. */

export interface Tick {
  readonly value: number;
  readonly label: string;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Durations that people think in, in milliseconds; a chart of lag shows decades of them. */
const durations: readonly Tick[] = [
  { value: 1, label: '1 ms' },
  { value: 10, label: '10 ms' },
  { value: 100, label: '100 ms' },
  { value: second, label: '1 s' },
  { value: 10 * second, label: '10 s' },
  { value: minute, label: '1 min' },
  { value: 10 * minute, label: '10 min' },
  { value: hour, label: '1 h' },
  { value: 6 * hour, label: '6 h' },
  { value: day, label: '1 day' },
  { value: 10 * day, label: '10 days' },
  { value: 100 * day, label: '100 days' },
];

export interface DurationScale {
  /** 0 at the bottom, 1 at the top. */
  readonly place: (ms: number) => number;
  readonly ticks: readonly Tick[];
}

/**
 * Logarithmic, because a lag of 3 ms and one of 3 min must both be seen. Everything up to the lowest line lies on the ground.
 * @param lowest of the lines; the ground
 */
export function durationScale(values: readonly number[], { goal, lowest = 1 }: { goal?: number; lowest?: number }) {
  const largest = Math.max(lowest, goal ?? 0, ...values);
  const above = durations.findIndex(({ value }) => value > largest * 1.2);
  const lines = durations.slice(0, above < 0 ? durations.length : above + 1).filter(({ value }) => value >= lowest);
  const top = Math.max(lines.at(-1)!.value, largest);
  const place = (ms: number) =>
    Math.min(1, Math.max(0, Math.log(Math.max(ms, lowest) / lowest) / Math.log(top / lowest)));
  // Three or four lines are read at a glance; the goal's own is drawn besides.
  const everyNth = Math.ceil(lines.length / 4);
  const ticks = lines.filter((_, index) => (lines.length - 1 - index) % everyNth === 0);
  return { place, ticks } satisfies DurationScale;
}

const steps = [
  5 * second,
  15 * second,
  30 * second,
  minute,
  5 * minute,
  10 * minute,
  15 * minute,
  30 * minute,
  hour,
  3 * hour,
  6 * hour,
  12 * hour,
  day,
];

/** Round moments between two, at most `count`, in the reader's time zone. */
export function timeTicks(from: number, to: number, count: number): readonly Tick[] {
  const span = to - from;
  const most = Math.max(1, count);
  const step =
    steps.find((each) => span / each <= most) ??
    [2, 7, 14, 30, 90, 365].map((days) => days * day).find((each) => span / each <= most) ??
    span;
  const offset = new Date(from).getTimezoneOffset() * minute;
  const ticks: Tick[] = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step)
    ticks.push({ value: at, label: (step < minute ? seconds : step < day ? clock : date).format(at) });
  return ticks;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const seconds = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
