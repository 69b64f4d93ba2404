import type { FreeholdError } from '#src/kernel/index.ts';
import type { AppLog } from './app-log.ts';
import type { Instance } from './instance.ts';
import type { AppState, RunSpec } from './types.ts';

/** What the keeper knows of a tenant's app. */
export interface Kept {
  state: AppState;
  spec: RunSpec | undefined;
  instance: Instance | undefined;
  /** Of a change under way: whoever comes meanwhile waits for it. */
  change: Promise<unknown> | undefined;
  abort: AbortController;
  log: AppLog | undefined;
  /** Counts against what all may have together, unless it sleeps or has failed. */
  hasRoom: boolean;
  /** Was ended because its folder had grown beyond its limit: looked at before it starts again. */
  isFull: boolean;
  lastUsedMs: number;
  /** Crashes and failed starts in a row. */
  failures: number;
  error: FreeholdError | undefined;
  retryAtMs: number;
  timer: NodeJS.Timeout | undefined;
}

export function newKept(nowMs: number): Kept {
  return {
    state: 'asleep',
    spec: undefined,
    instance: undefined,
    change: undefined,
    abort: new AbortController(),
    log: undefined,
    hasRoom: false,
    isFull: false,
    lastUsedMs: nowMs,
    failures: 0,
    error: undefined,
    retryAtMs: 0,
    timer: undefined,
  };
}
