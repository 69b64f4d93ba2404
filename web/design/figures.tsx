/** Moments and sizes as text. */
import { useSyncExternalStore } from 'react';
import { formatBytes, formatCount, formatExact, formatRelative } from './format.ts';

/** `3 minutes ago`, kept fresh; the exact moment on hover. `never` when there is none. */
export function RelativeTime({ value, never = 'never' }: { value: string | Date | undefined | null; never?: string }) {
  const nowMs = useSyncExternalStore(subscribeToTicks, () => tickedMs);
  if (!value) return <span>{never}</span>;
  const moment = new Date(value);
  return (
    <time dateTime={moment.toISOString()} title={formatExact(moment)}>
      {formatRelative(moment, new Date(nowMs))}
    </time>
  );
}

/** `8.1 MB`; the exact number of bytes on hover. */
export function SizeText({
  bytes,
  unknown = 'not measured yet',
}: {
  bytes: number | undefined | null;
  unknown?: string;
}) {
  if (bytes === undefined || bytes === null) return <span>{unknown}</span>;
  return <span title={`${formatCount(bytes)} bytes`}>{formatBytes(bytes)}</span>;
}

// One timer for all moments on a page, and none while no moment is shown.
const tickMs = 10_000;
let tickedMs = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function subscribeToTicks(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) {
    tickedMs = Date.now();
    timer = setInterval(() => {
      tickedMs = Date.now();
      for (const each of listeners) each();
    }, tickMs);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}
