/**
 * kernel: ids, time, random numbers, errors, retry, redaction, log and failpoints.
 * No I/O but the log sink. Everything may import it; it imports nothing of ours.
 */
export * from './cancellation.ts';
export * from './clock.ts';
export * from './errors.ts';
export * from './failpoints.ts';
export * from './ids.ts';
export * from './log.ts';
export * from './lsn.ts';
export * from './random.ts';
export * from './redaction.ts';
export * from './retry.ts';
