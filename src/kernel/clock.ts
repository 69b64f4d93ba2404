/** The time, injected so that tests can move it. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the operating system's clock is set. */
  now(): number;
  /** Milliseconds on a clock that never goes back; for durations only. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};
