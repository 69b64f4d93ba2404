import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { identityErrors } from '../errors.ts';

/** Passwords that are known from breaches, in a file that the operator keeps; no network is asked. */
export interface BreachedPasswords {
  /** Throws FH_PASSWORD_LIST_UNREADABLE when the list cannot be relied on: then no new password is taken (NIST SP 800-63B-4, 3.1.1.2; fails closed). */
  includes(password: string): Promise<boolean>;
}

/** The longest line: 40 digits, a colon, a count, CR and LF. */
const maxLineBytes = 64;
const blockBytes = 8_192;
const samples = 256;

/**
 * The list as Have I Been Pwned gives it out: SHA-1 in hexadecimal and perhaps `:COUNT` on each line, in the order of the hashes, 40 GB or any part of
 * it. It is searched where it lies, about 25 reads for each password, and opened anew each time, so whoever replaces the file (by `mv`) has
 * updated the list. A new file is looked at in 256 places before it is believed: one in the order of the counts would find nothing.
 */
export function createBreachedPasswords(path: string): BreachedPasswords {
  let believed = '';
  return {
    async includes(password) {
      const wanted = createHash('sha1').update(password, 'utf8').digest('hex').toUpperCase();
      const file = await open(path, 'r').catch((error) => {
        throw unreadable(error.code ?? 'it cannot be opened', error);
      });
      try {
        const facts = await file.stat();
        const { size } = facts;
        if (!facts.isFile() || size < 40) throw unreadable('it holds no list');
        const version = `${facts.ino} ${size} ${facts.mtimeMs}`;
        if (version !== believed) await lookAt(file, size);
        believed = version;
        return await search(file, size, wanted);
      } catch (error) {
        believed = '';
        throw error instanceof Error && 'syscall' in error ? unreadable('it cannot be read', error) : error;
      } finally {
        await file.close();
      }
    },
  };
}

function unreadable(detail: string, cause?: unknown) {
  return identityErrors.FH_PASSWORD_LIST_UNREADABLE({ detail, cause });
}

interface Line {
  readonly start: number;
  readonly hash: string;
}

/** In order all over, as far as so many places tell. */
async function lookAt(file: FileHandle, size: number): Promise<void> {
  let before = '';
  let place = -1;
  for (let index = 0; index < samples; index++) {
    const line = await firstLineFrom(file, size, Math.floor((size / samples) * index));
    if (!line || line.start === place) continue;
    if (line.hash <= before) throw unreadable('its hashes are not in order');
    before = line.hash;
    place = line.start;
  }
}

async function search(file: FileHandle, size: number, wanted: string): Promise<boolean> {
  // The line that is looked for begins in [low, high), and one begins at low.
  let low = 0;
  let high = size;
  while (high - low > blockBytes) {
    const middle = Math.floor((low + high) / 2);
    const line = await firstLineFrom(file, size, middle);
    if (line?.hash === wanted) return true;
    if (line && line.hash < wanted) low = line.start;
    else high = middle;
  }
  const text = await readText(file, low, Math.min(size, high + maxLineBytes) - low);
  const lines = text.split('\n');
  // What was cut off at its end began behind the place.
  if (low + text.length < size) lines.pop();
  let before = '';
  for (const [index, line] of lines.entries()) {
    if (line === '' && index === lines.length - 1) continue;
    const hash = parseLine(line);
    if (hash <= before) throw unreadable('its hashes are not in order');
    if (hash === wanted) return true;
    before = hash;
  }
  return false;
}

/** The first line that begins at `offset` or behind it; undefined: none does. */
async function firstLineFrom(file: FileHandle, size: number, offset: number): Promise<Line | undefined> {
  const from = Math.max(0, offset - 1);
  const text = await readText(file, from, Math.min(size - from, 2 * maxLineBytes));
  const start = offset === 0 ? 0 : text.indexOf('\n') + 1;
  if (offset > 0 && start === 0) {
    // The last line has no end.
    if (from + text.length < size) throw unreadable('a line is too long');
    return undefined;
  }
  if (from + start >= size) return undefined;
  const end = text.indexOf('\n', start);
  if (end < 0 && from + text.length < size) throw unreadable('a line is too long');
  return { start: from + start, hash: parseLine(text.slice(start, end < 0 ? undefined : end)) };
}

function parseLine(line: string): string {
  const hash = /^([0-9A-Fa-f]{40})(?::\d{1,15})?\r?$/.exec(line)?.[1];
  if (!hash) throw unreadable('a line is not a SHA-1 hash');
  return hash.toUpperCase();
}

async function readText(file: FileHandle, position: number, length: number): Promise<string> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) throw unreadable('it became shorter while it was read');
    filled += bytesRead;
  }
  return buffer.toString('latin1');
}
