import { constants, open as openDescriptor } from 'node:fs';
import { chmod, chown, mkdir, open, rename } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { FreeholdError, failpoint, type Log, type Lsn, segmentFileName, walSegmentBytes } from '#src/kernel/index.ts';
import type { OsUser } from '../os-user.ts';
import { runProgram } from '../run.ts';
import { recoveryErrors } from './errors.ts';
import { findSegmentFault } from './segment-check.ts';
import { parseTimelineHistory } from './target.ts';
import { parseWalFileName, type WalFile, type WalSource } from './wal-source.ts';

/** An empty history file would send PostgreSQL down another line of timelines without a word (facts F06, F14). */
function findHistoryFault(bytes: Buffer, timeline: number): string | undefined {
  try {
    const last = parseTimelineHistory(bytes.toString('utf8')).at(-1);
    return last && last.parent < timeline ? undefined : 'it names no parent';
  } catch (error) {
    return (error as Error).message;
  }
}

export interface WalFeedOptions {
  /** A folder of our own; `home/wal` and two named pipes are made in it. */
  readonly home: string;
  readonly source: WalSource;
  readonly systemIdentifier: string;
  readonly osUser?: OsUser;
  readonly log: Log;
  readonly onSegment?: (timeline: number, start: Lsn) => void;
}

/** Answers PostgreSQL's `restore_command`. */
export interface WalFeed {
  /** For the setting; PostgreSQL puts in %f and %p. */
  readonly restoreCommand: string;
  /** The first thing that went wrong: recovery ended, or will end, because of it. */
  failure(): unknown;
  /** The first segment that the source does not have since it last had one: where the WAL ends, or its gap. */
  missing(): string | undefined;
  /** The segment that was handed over last. */
  lastSegment(): string | undefined;
  close(): Promise<void>;
}

/**
 * PostgreSQL reads the exit code of `restore_command`: 1 is "there is none", which ends recovery; above 125 stops the server (facts F05:
 * a network error with exit code 1 was taken for the end of the WAL). So only a certain "not there" is 1, and all else, a helper that was
 * killed included, is 126. The shell script only carries names: the file is fetched, checked and written by this process.
 */
const script = `#!/bin/sh
home=\${0%/*}
printf '%s\\n' "$1" >"$home/request" || exit 126
IFS= read -r answer <"$home/answer" || exit 126
case "$answer" in
  "found $1") mv "$home/wal/$1" "$2" || exit 126 ;;
  "absent $1") exit 1 ;;
  *) exit 126 ;;
esac
`;

// The folder belongs to the server's user: no link of theirs may lead us elsewhere.
const writing = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

export async function openWalFeed(options: WalFeedOptions): Promise<WalFeed> {
  const { home, source, osUser, log, onSegment } = options;
  const folder = path.join(home, 'wal');
  const [request, answer] = [path.join(home, 'request'), path.join(home, 'answer')];
  await mkdir(folder, { mode: 0o700 });
  if (osUser) await chown(folder, osUser.uid, osUser.gid);
  const made = await runProgram('mkfifo', ['-m', '600', request, answer], { osUser, cwd: home });
  if (made.exitCode !== 0) throw new Error(`mkfifo: ${made.stderr}`);
  const helper = path.join(home, 'restore-command');
  const helperFile = await open(helper, 'wx', 0o755);
  await helperFile.writeFile(script).finally(() => helperFile.close());
  await chmod(helper, 0o755);

  // Opened for both directions, so that neither side waits for the other or sees an end between two requests.
  const flags = constants.O_RDWR | constants.O_NONBLOCK;
  const answers = await open(answer, flags);
  const incoming = new Socket({ fd: await promisify(openDescriptor)(request, flags), readable: true, writable: false });
  const cancel = new AbortController();
  let missing: string | undefined;
  let failure: unknown;
  let last: string | undefined;
  let ahead: { name: string; fetched: Promise<boolean> } | undefined;

  /** Puts the file into our folder under its name. */
  async function fetch(file: WalFile, name: string): Promise<boolean> {
    const bytes = await read(file).catch((cause) => {
      // It says what is wrong, and where, better than we can.
      if (cause instanceof FreeholdError && cause.detail) throw cause;
      throw recoveryErrors.FH_RECOVERY_WAL_UNAVAILABLE({ detail: name, cause });
    });
    if (!bytes) return false;
    const fault =
      file.kind === 'segment'
        ? findSegmentFault(bytes, { ...file, systemIdentifier: options.systemIdentifier })
        : findHistoryFault(bytes, file.timeline);
    if (fault) throw recoveryErrors.FH_RECOVERY_WAL_DAMAGED({ detail: `${name}: ${fault}` });
    const temporary = path.join(folder, `${name}.part`);
    const handle = await open(temporary, writing, 0o600);
    try {
      await handle.writeFile(bytes);
      if (osUser) await handle.chown(osUser.uid, osUser.gid);
    } finally {
      await handle.close();
    }
    await failpoint('clusters.recovery.segment');
    await rename(temporary, path.join(folder, name));
    return true;
  }

  async function read(file: WalFile): Promise<Buffer | undefined> {
    if (file.kind === 'history') {
      const content = await source.readHistory(file.timeline, cancel.signal);
      return content && Buffer.from(content);
    }
    const content = await source.openSegment(file.timeline, file.start, cancel.signal);
    if (!content) return undefined;
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of content) {
      parts.push(part);
      length += part.byteLength;
      // Too long is as wrong as too short, and would fill the memory.
      if (length > Number(walSegmentBytes)) break;
    }
    return Buffer.concat(parts);
  }

  /** The next segment is fetched while PostgreSQL replays this one. */
  function fetchAhead({ timeline, start }: { timeline: number; start: Lsn }): void {
    const next = { kind: 'segment', timeline, start: start + walSegmentBytes } as const;
    const name = segmentFileName(timeline, next.start);
    const fetched = fetch(next, name);
    // An error matters only when PostgreSQL asks for it.
    fetched.catch(() => {});
    ahead = { name, fetched };
  }

  async function serve(name: string): Promise<boolean> {
    const file = parseWalFileName(name, walSegmentBytes);
    if (!file) return false;
    const expected = ahead;
    ahead = undefined;
    const wasExpected = expected?.name === name;
    // At most one file is fetched at a time into the folder, also when PostgreSQL turns elsewhere.
    if (expected && !wasExpected) await expected.fetched.catch(() => false);
    const found = await (wasExpected ? expected.fetched : fetch(file, name));
    if (file.kind !== 'segment') return found;
    if (!found) missing ??= name;
    else {
      missing = undefined;
      last = name;
      onSegment?.(file.timeline, file.start);
      fetchAhead(file);
    }
    return found;
  }

  let working: Promise<void> = Promise.resolve();
  createInterface({ input: incoming }).on('line', (name) => {
    working = working.then(async () => {
      let word = 'failed';
      try {
        word = (await serve(name)) ? 'found' : 'absent';
      } catch (error) {
        failure ??= error;
        log.warn('a file of the WAL cannot be given to recovery', { name, error });
      }
      if (!cancel.signal.aborted) await answers.write(`${word} ${name}\n`);
    });
  });
  incoming.on('error', (error) => {
    failure ??= error;
  });

  return {
    restoreCommand: `/bin/sh '${helper.replaceAll("'", "'\\''").replaceAll('%', '%%')}' %f %p`,
    failure: () => failure,
    missing: () => missing,
    lastSegment: () => last,
    async close() {
      cancel.abort();
      incoming.destroy();
      await working.catch(() => {});
      await ahead?.fetched.catch(() => {});
      await answers.close();
    },
  };
}
