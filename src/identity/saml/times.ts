import { refuse } from './refused.ts';

export const defaultClockSkewMs = 60_000;
const mostClockSkewMs = 300_000;
/** How long after its writing a message may arrive. */
export const freshMs = 10 * 60_000;
/** From the writing of a log-out request: how long it must be remembered, so that it is good once with the largest clock skew, too. */
export const logOutMemoryMs = freshMs + 2 * mostClockSkewMs;
/** No assertion holds for longer; 10 years would be a password. */
export const longestLifetimeMs = 24 * 60 * 60_000;

/** xs:dateTime in UTC (SAML core 1.3.3); a leap second, hour 24 and the 30th of February are no times. Throws Refused `time`. */
export function parseInstant(text: string | undefined): number {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text ?? '') ?? refuse('time');
  const seconds = Date.parse(`${match[1]}Z`);
  if (Number.isNaN(seconds) || new Date(seconds).toISOString().slice(0, 19) !== match[1]) refuse('time');
  return seconds + Number((match[2] ?? '').padEnd(3, '0').slice(0, 3));
}

export interface TimeRules {
  readonly nowMs: number;
  readonly skewMs: number;
}

export function timeRules(nowMs: number, skewMs: number | undefined): TimeRules {
  return { nowMs, skewMs: Math.min(Math.max(skewMs ?? defaultClockSkewMs, 0), mostClockSkewMs) };
}

export function checkNotBefore(text: string, { nowMs, skewMs }: TimeRules): void {
  if (nowMs + skewMs < parseInstant(text)) refuse('not_yet_valid');
}

/** NotOnOrAfter itself is too late (SAML core 2.5.1.2). Returns the instant. */
export function checkNotOnOrAfter(text: string | undefined, { nowMs, skewMs }: TimeRules): number {
  const end = parseInstant(text);
  if (nowMs - skewMs >= end) refuse('expired');
  if (end > nowMs + longestLifetimeMs + skewMs) refuse('lifetime');
  return end;
}

/** A message that was written just now. Returns the instant. */
export function checkIssueInstant(text: string | undefined, { nowMs, skewMs }: TimeRules): number {
  const written = parseInstant(text);
  if (written > nowMs + skewMs) refuse('not_yet_valid');
  if (written < nowMs - skewMs - freshMs) refuse('expired');
  return written;
}
