import type { Clock } from '#src/kernel/index.ts';

export interface CachedLookup<V> {
  /** One load per key at a time; failures are not kept. */
  get(key: string): Promise<V | undefined>;
  /** What is remembered; undefined: ask `get`. */
  known(key: string): V | undefined;
  /** Forgets what `matches`, and every `undefined`: whatever changed may have brought it into being. */
  forget(matches: (value: V) => boolean): void;
  clear(): void;
  readonly size: number;
}

export interface CachedLookupOptions<V> {
  readonly maxEntries: number;
  /** How long a value is kept. */
  readonly ttlMs: number;
  /** How long it is remembered that there is none. */
  readonly negativeTtlMs: number;
  readonly clock: Clock;
  readonly load: (key: string) => Promise<V | undefined>;
}

interface Entry<V> {
  readonly value: V | undefined;
  readonly expiresAtMs: number;
}

/**
 * A bounded cache, least recently used out first. Invariant: after `forget` or `clear` returned, no value that was loaded before
 * is handed out: a load that was on its way is done again.
 */
export function createCachedLookup<V>(options: CachedLookupOptions<V>): CachedLookup<V> {
  const { maxEntries, ttlMs, negativeTtlMs, clock, load } = options;
  const entries = new Map<string, Entry<V>>();
  const flights = new Map<string, Promise<V | undefined>>();
  let generation = 0;

  const loadFresh = async (key: string): Promise<V | undefined> => {
    for (let attempt = 1; ; attempt++) {
      const startedIn = generation;
      const value = await load(key);
      if (startedIn === generation) {
        const expiresAtMs = clock.monotonicMs() + (value === undefined ? negativeTtlMs : ttlMs);
        entries.set(key, { value, expiresAtMs });
        if (entries.size > maxEntries) entries.delete(entries.keys().next().value!);
        return value;
      }
      // Changes come faster than answers: this one is at least not remembered.
      if (attempt === 5) return value;
    }
  };

  const find = (key: string): Entry<V> | undefined => {
    const entry = entries.get(key);
    if (!entry || entry.expiresAtMs <= clock.monotonicMs()) return undefined;
    // Map keeps insertion order: moved to the end, it is the last to go. While there is plenty of room, nothing goes.
    if (entries.size * 2 > maxEntries) {
      entries.delete(key);
      entries.set(key, entry);
    }
    return entry;
  };

  return {
    known: (key) => find(key)?.value,
    get: (key) => {
      const entry = find(key);
      if (entry) return Promise.resolve(entry.value);
      let flight = flights.get(key);
      if (!flight) {
        flight = loadFresh(key).finally(() => flights.delete(key));
        flights.set(key, flight);
      }
      return flight;
    },
    forget: (matches) => {
      generation++;
      for (const [key, { value }] of entries) if (value === undefined || matches(value)) entries.delete(key);
    },
    clear: () => {
      generation++;
      entries.clear();
    },
    get size() {
      return entries.size;
    },
  };
}
