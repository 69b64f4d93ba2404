/** Words for numbers and moments. Every figure has its unit. */

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const exact = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'medium',
  timeStyle: 'long',
});
const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });
const number = new Intl.NumberFormat('en');

/** Units with the count below which they are used. */
const steps: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, unitSeconds: number, below: number])[] = [
  ['second', 1, 60],
  ['minute', 60, 60],
  ['hour', 3_600, 24],
  ['day', 86_400, 14],
  ['week', 7 * 86_400, 9],
  ['month', 30.44 * 86_400, 12],
];

/** `3 minutes ago`, `in 2 hours`, `just now`; older than a year: the date. */
export function formatRelative(moment: Date, now: Date): string {
  const seconds = (moment.getTime() - now.getTime()) / 1000;
  const distance = Math.abs(seconds);
  if (distance < 10) return 'just now';
  for (const [unit, unitSeconds, below] of steps) {
    const count = Math.round(seconds / unitSeconds);
    if (Math.abs(count) < below) return relative.format(count, unit);
  }
  return day.format(moment);
}

/** `21 Nov 2026, 23:11:04 CET` */
export function formatExact(moment: Date): string {
  return exact.format(moment);
}

/** `0 B`, `812 B`, `8.1 MB`: decimal units, as disks are sold and clouds bill. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** `12,345` */
export function formatCount(count: number): string {
  return number.format(count);
}

/** `1 tenant`, `2 tenants` */
export function formatPlural(count: number, one: string, many = `${one}s`): string {
  return `${number.format(count)} ${count === 1 ? one : many}`;
}

/** `42 ms`, `1.4 s`, `3 min 20 s`, `2 h 5 min` */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
