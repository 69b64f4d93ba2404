import { appendFile, rename, rm, stat } from 'node:fs/promises';
import { type Clock, redactText } from '#src/kernel/index.ts';

/** What an app wrote, line by line with the time; rotated, and without its secrets. */
export interface AppLog {
  /** Bytes as they come; lines of more than 8 KiB are cut. */
  write(chunk: Uint8Array): void;
  /** How long whoever reads the app should wait before reading on. */
  pauseMs(): number;
  /** A line of ours, between those of the app. */
  note(text: string): void;
  /** The last lines, also those that are not on disk yet. */
  tail(lines: number): readonly string[];
  /** Everything that was written before is on disk. */
  flush(): Promise<void>;
}

export interface AppLogOptions {
  readonly path: string;
  /** Values that must not appear: what the environment holds that is secret. */
  readonly secrets: readonly string[];
  readonly clock: Clock;
  /** Default 2 MiB; there are `files` of them. */
  readonly maxBytes?: number;
  /** Default 5. */
  readonly files?: number;
  /** Bytes a second beyond which lines are dropped, and counted. Default 1 MiB. */
  readonly bytesPerSecond?: number;
  readonly onLine?: (line: string) => void;
}

const longestLine = 8_192;
/** What a line costs us, however short it is. */
const lineCost = 200;
const keptLines = 200;
/** Shorter ones would blot out ordinary words. */
const shortestSecret = 8;

export function createAppLog(options: AppLogOptions): AppLog {
  const { path, clock, maxBytes = 2 * 2 ** 20, files = 5, bytesPerSecond = 2 ** 20 } = options;
  const secrets = options.secrets.filter((secret) => secret.length >= shortestSecret);
  const decoder = new TextDecoder();
  const recent: string[] = [];
  let rest = '';
  let pending = '';
  let writing: Promise<void> = Promise.resolve();
  let isScheduled = false;
  let second = 0;
  let bytes = 0;
  let dropped = 0;

  function add(text: string): void {
    const now = clock.now();
    if (Math.floor(now / 1_000) !== second) {
      second = Math.floor(now / 1_000);
      bytes = 0;
      const lost = dropped;
      dropped = 0;
      if (lost > 0) add(`freehold: ${lost} lines were dropped, because the app wrote too fast`);
    }
    bytes += text.length + lineCost;
    if (bytes > bytesPerSecond) {
      dropped++;
      return;
    }
    const line = `${new Date(now).toISOString()} ${clean(text)}`;
    recent.push(line);
    if (recent.length > keptLines) recent.shift();
    options.onLine?.(line);
    pending += `${line}\n`;
    if (!isScheduled) {
      isScheduled = true;
      writing = writing.then(store, store);
    }
  }

  function clean(text: string): string {
    let line = text;
    // Before it is cut: half a secret is one as well.
    for (const secret of secrets) line = line.replaceAll(secret, '[redacted]');
    if (line.length > longestLine) line = `${line.slice(0, longestLine)}…`;
    // Control characters could rewrite what a terminal shows.
    return redactText(line).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
  }

  /** A log that cannot be written must not stop the app. */
  async function store(): Promise<void> {
    isScheduled = false;
    const text = pending;
    pending = '';
    try {
      await appendFile(path, text, { mode: 0o600 });
      if ((await stat(path)).size > maxBytes) await rotate();
    } catch {
      dropped += text.split('\n').length - 1;
    }
  }

  async function rotate(): Promise<void> {
    for (let number = files - 1; number > 0; number--)
      await rename(number === 1 ? path : `${path}.${number - 1}`, `${path}.${number}`).catch(() => undefined);
  }

  return {
    write(chunk) {
      rest += decoder.decode(chunk, { stream: true });
      const lines = rest.split(/\r?\n/);
      rest = lines.pop()!;
      for (const line of lines) add(line);
      if (rest.length > longestLine) {
        add(rest);
        rest = '';
      }
    },
    pauseMs() {
      const now = clock.now();
      return Math.floor(now / 1_000) === second && bytes > bytesPerSecond ? 1_000 - (now % 1_000) : 0;
    },
    note: (text) => add(`freehold: ${text}`),
    tail: (lines) => [...recent, ...(rest === '' ? [] : [clean(rest)])].slice(-lines),
    async flush() {
      if (rest !== '') add(rest);
      rest = '';
      await writing;
    },
  };
}

/** Of a tenant that is no more. */
export async function removeAppLog(path: string, files = 5): Promise<void> {
  for (let number = 0; number < files; number++) await rm(number === 0 ? path : `${path}.${number}`, { force: true });
}
