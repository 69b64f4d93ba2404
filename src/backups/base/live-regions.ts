import { createHash } from 'node:crypto';
import { FreeholdError, type Log, retry } from '#src/kernel/index.ts';
import type { ObjectName, PutResult, RegionStore } from '#src/objects/index.ts';
import { baseBackupErrors } from './errors.ts';
import { createRegionQueue, type RegionQueue } from './region-queue.ts';

export interface StoredBytes {
  readonly storedBytes: number;
  readonly storedSha256: string;
}

export interface RegionResult {
  readonly region: string;
  /** True: every object and the manifest are there. False: `copyBackup` brings what is missing. */
  readonly complete: boolean;
  readonly error?: FreeholdError | Error;
}

export interface LiveRegionsOptions {
  readonly stores: readonly RegionStore[];
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** A region that takes no byte for so long is away. Default 60,000. */
  readonly stallMs?: number;
  /** What is being written, for the log. Default: a base backup. */
  readonly what?: string;
}

/** Waits in front of each region while a large object is written. */
const queueBytes = 4 * 1024 * 1024;
const slowestBytesPerMs = (512 * 1024) / 1000;

/**
 * The regions that are still with this backup. One that fails is left out of the rest of it, and the backup goes on in the others: half an object
 * less is worth more than no backup. FH_BASE_BACKUP_NO_REGION when the last one is gone.
 */
export function createLiveRegions({
  stores,
  log,
  signal,
  stallMs = 60_000,
  what = 'a base backup',
}: LiveRegionsOptions) {
  if (stores.length === 0) throw new TypeError('a backup needs a region');
  const lost = new Map<string, Error>();
  const live = () => stores.filter((store) => !lost.has(store.region));

  function lose(store: RegionStore, error: unknown): void {
    if (lost.has(store.region)) return;
    lost.set(store.region, error instanceof Error ? error : new Error(String(error)));
    log.error(`a region is left out of ${what}`, { region: store.region, error });
  }

  function requireOne(): void {
    signal?.throwIfAborted();
    if (live().length > 0) return;
    const [cause] = lost.values();
    throw baseBackupErrors.FH_BASE_BACKUP_NO_REGION({ detail: [...lost.keys()].join(', '), cause });
  }

  /** Runs one action in every live region; one that fails is lost. */
  async function everywhere<T>(action: (store: RegionStore) => Promise<T>): Promise<T[]> {
    const results: T[] = [];
    await Promise.all(
      live().map(async (store) => {
        try {
          results.push(await action(store));
        } catch (error) {
          signal?.throwIfAborted();
          lose(store, error);
        }
      }),
    );
    requireOne();
    return results;
  }

  return {
    live,
    everywhere,
    /** Writes an object that fits into memory; a region that is away for a moment gets a second and third try. */
    async put(name: ObjectName, content: Buffer): Promise<StoredBytes> {
      const storedSha256 = createHash('sha256').update(content).digest('hex');
      await everywhere((store) =>
        retry({ attempts: 3, firstDelayMs: 500, maxDelayMs: 5_000, isRetryable, signal }, () =>
          withDeadline(stallMs + content.length / slowestBytesPerMs, signal, async (bounded) => {
            const result = await store.put(name, content, { expectedBytes: content.length, signal: bounded });
            // An earlier try may have written it without hearing so.
            if (result.outcome === 'exists') await requireSame(store, name, storedSha256);
          }),
        ),
      );
      return { storedBytes: content.length, storedSha256 };
    },
    /** Writes an object of any length while it is made. When `content` throws, no region keeps any of it. */
    async putStream(name: ObjectName, content: AsyncIterable<Uint8Array>): Promise<StoredBytes> {
      const hash = createHash('sha256');
      let storedBytes = 0;
      const writers = live().map((store) => startWriter(store, name));
      try {
        for await (const bytes of content) {
          hash.update(bytes);
          storedBytes += bytes.byteLength;
          for (const writer of writers) writer.queue.push(bytes);
          await Promise.all(writers.map((writer) => writer.room()));
          requireOne();
        }
        for (const writer of writers) writer.queue.end();
      } catch (error) {
        for (const writer of writers) writer.queue.end(error as Error);
        await Promise.all(writers.map((writer) => writer.finished(storedBytes)));
        throw error;
      }
      const storedSha256 = hash.digest('hex');
      await Promise.all(writers.map((writer) => writer.finished(storedBytes, storedSha256)));
      requireOne();
      return { storedBytes, storedSha256 };
    },
    results: (complete: ReadonlySet<string>): RegionResult[] =>
      stores.map(({ region }) => ({
        region,
        complete: complete.has(region),
        ...(lost.has(region) && { error: lost.get(region)! }),
      })),
  };

  function startWriter(store: RegionStore, name: ObjectName) {
    const queue: RegionQueue = createRegionQueue(queueBytes);
    const cancel = new AbortController();
    const bounded = signal ? AbortSignal.any([signal, cancel.signal]) : cancel.signal;
    let aborted = false;
    let result: PutResult | undefined;
    const put = store.put(name, queue, { signal: bounded }).then(
      (value) => {
        result = value;
        queue.leave();
      },
      (error) => {
        if (!aborted) lose(store, error);
        queue.leave();
      },
    );
    async function orLose(work: Promise<void>, ms: number): Promise<void> {
      const expired = await isLate(work, ms);
      if (!expired) return;
      lose(store, baseBackupErrors.FH_BASE_BACKUP_FAILED({ detail: `${store.region} took nothing for ${ms} ms` }));
      queue.leave();
      cancel.abort();
    }
    return {
      queue,
      room: () => orLose(queue.room(), stallMs),
      async finished(storedBytes: number, storedSha256?: string): Promise<void> {
        aborted = storedSha256 === undefined;
        await orLose(put, Math.round(stallMs + storedBytes / slowestBytesPerMs));
        if (aborted || !result) return;
        if (result.outcome === 'exists' || result.sha256 !== storedSha256) {
          lose(store, baseBackupErrors.FH_BASE_BACKUP_NAME_TAKEN({ detail: `${store.region}: ${name}` }));
        }
      },
    };
  }
}

export type LiveRegions = ReturnType<typeof createLiveRegions>;

/** Reads an object that is said to exist already: it must be the very bytes. */
async function requireSame(store: RegionStore, name: ObjectName, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  const found = await store.get(name);
  if (found) for await (const bytes of found) hash.update(bytes);
  if (hash.digest('hex') !== sha256) {
    throw baseBackupErrors.FH_BASE_BACKUP_NAME_TAKEN({ detail: `${store.region}: ${name}` });
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof FreeholdError && error.code === 'FH_REGION_UNAVAILABLE';
}

async function isLate(work: Promise<void>, ms: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(true), ms);
  try {
    return await Promise.race([work.then(() => false), promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Aborts the work after `ms`, and does not wait for it to notice. */
async function withDeadline(
  ms: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const cancel = new AbortController();
  const running = work(signal ? AbortSignal.any([signal, cancel.signal]) : cancel.signal);
  if (!(await isLate(running, ms))) return;
  running.catch(() => {});
  cancel.abort();
  throw baseBackupErrors.FH_BASE_BACKUP_FAILED({ detail: `a region took nothing for ${Math.round(ms)} ms` });
}
