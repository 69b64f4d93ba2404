import type { ReactNode } from 'react';
import classes from './StateBadge.module.css';

/** `ok` owned and well · `working` in progress · `late` needs a look · `urgent` needs a person now · `quiet` off or over. */
export type Tone = 'ok' | 'working' | 'late' | 'urgent' | 'quiet';

/** A state as a shape and a word; the colour only repeats them. */
export function StateBadge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={classes.badge} data-tone={tone}>
      <Shape tone={tone} size={12} />
      {children}
    </span>
  );
}

/** Each tone has its own outline, so that it is told apart without colour: disc, arc, triangle, octagon, ring. */
export function Shape({ tone, size }: { tone: Tone; size: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="currentColor" aria-hidden="true" focusable="false">
      {tone === 'ok' && (
        <path
          fillRule="evenodd"
          d="M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.6 5.1-4.3 4.6a.9.9 0 0 1-1.3 0L4.3 9a.9.9 0 0 1 1.3-1.3l1 1.1 3.7-4a.9.9 0 1 1 1.3 1.3Z"
        />
      )}
      {tone === 'working' && (
        <path
          className={classes.turning}
          fill="none"
          stroke="currentColor"
          strokeWidth="2.4"
          strokeLinecap="round"
          d="M8 2.2A5.8 5.8 0 1 1 2.2 8"
        />
      )}
      {tone === 'late' && (
        <path
          fillRule="evenodd"
          d="M8 1.2c.5 0 .9.2 1.1.6l5.7 10.3c.5.9-.1 1.9-1.1 1.9H2.3c-1 0-1.6-1-1.1-1.9L6.9 1.8c.2-.4.6-.6 1.1-.6Zm-.8 4.3.2 3.7h1.2l.2-3.7H7.2ZM8 10.2a1 1 0 1 0 0 2 1 1 0 0 0 0-2Z"
        />
      )}
      {tone === 'urgent' && (
        <path
          fillRule="evenodd"
          d="M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2L5.2 1Zm2 3.2.2 5h1.2l.2-5H7.2ZM8 10.2a1 1 0 1 0 0 2 1 1 0 0 0 0-2Z"
        />
      )}
      {tone === 'quiet' && <circle cx="8" cy="8" r="5.6" fill="none" stroke="currentColor" strokeWidth="2.2" />}
    </svg>
  );
}
