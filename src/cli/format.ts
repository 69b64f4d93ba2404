/** Words for numbers and moments, as the console says them. */
export function formatBytes(bytes: number | undefined): string {
  if (bytes === undefined) return '-';
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1_000 && unit < units.length - 1; unit++) value /= 1_000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `3 minutes ago`. @param moment ISO 8601; undefined: never */
export function formatAge(moment: string | undefined, nowMs: number): string {
  if (!moment) return 'never';
  const seconds = Math.max(0, Math.round((nowMs - new Date(moment).getTime()) / 1_000));
  if (seconds < 60) return 'just now';
  for (const [name, size] of [
    ['day', 86_400],
    ['hour', 3_600],
    ['minute', 60],
  ] as const) {
    const count = Math.floor(seconds / size);
    if (count > 0) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}

/** Text of others as it may stand on a terminal: no control characters, which could move the cursor or hide what follows. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?');
}
