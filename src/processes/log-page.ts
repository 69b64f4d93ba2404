import { type FileHandle, open } from 'node:fs/promises';
import type { LogPage, LogQuery } from './types.ts';

export const longestPage = 2_000;
/** Cursor of a log that has no line yet. */
const beginning = 'beginning';
export const cursorPattern = '^(?:beginning|[0-9]{1,20}-[0-9]{1,20}:[0-9]{1,16})$';

interface LogFile {
  readonly handle: FileHandle;
  /** Inodes are used again, so the moment of birth belongs to it. */
  readonly id: string;
  readonly sizeBytes: number;
}

/** The last lines, or what was written after a page. A log that is not there has no lines. */
export async function readLogPage(path: string, query: LogQuery, files = 5): Promise<LogPage> {
  const found = await openFiles(path, files);
  try {
    return 'last' in query ? await readLast(found, query.last) : await readAfter(found, query.after);
  } finally {
    for (const { handle } of found) await handle.close();
  }
}

/** Oldest first. Opened newest first: a rotation meanwhile shows a file twice, and hides none but the oldest. */
async function openFiles(path: string, files: number): Promise<LogFile[]> {
  const found: LogFile[] = [];
  for (let number = 0; number < files; number++) {
    const handle = await open(number === 0 ? path : `${path}.${number}`).catch(() => undefined);
    if (!handle) continue;
    const { ino, birthtimeNs, size } = await handle.stat({ bigint: true });
    const id = `${ino}-${birthtimeNs}`;
    if (found.some((file) => file.id === id)) await handle.close();
    else found.push({ handle, id, sizeBytes: Number(size) });
  }
  return found.reverse();
}

async function readLast(files: readonly LogFile[], count: number): Promise<LogPage> {
  const newest = files.at(-1);
  if (!newest) return { lines: [], cursor: beginning, hasGap: false };
  let lines: string[] = [];
  let cursor = '';
  for (const file of [...files].reverse()) {
    const part = await readFrom(file, 0);
    if (file === newest) cursor = `${file.id}:${part.endBytes}`;
    lines = [...part.lines, ...lines];
    if (lines.length >= count) break;
  }
  return { lines: lines.slice(-count), cursor, hasGap: false };
}

async function readAfter(files: readonly LogFile[], after: string): Promise<LogPage> {
  if (files.length === 0) return { lines: [], cursor: beginning, hasGap: after !== beginning };
  const [id, offset] = after.split(':');
  const at = files.findIndex((file) => file.id === id);
  const lines: string[] = [];
  let cursor = after;
  for (const [index, file] of files.entries()) {
    if (index < at) continue;
    const fromBytes = index === at ? Number(offset) : 0;
    const part = await readFrom(file, fromBytes, longestPage - lines.length);
    lines.push(...part.lines);
    cursor = `${file.id}:${part.endBytes}`;
    if (lines.length >= longestPage) break;
  }
  return { lines, cursor, hasGap: at < 0 && after !== beginning };
}

/** Whole lines only: the last may be on its way to the disk. */
async function readFrom(
  { handle, sizeBytes }: LogFile,
  fromBytes: number,
  most = Number.POSITIVE_INFINITY,
): Promise<{ lines: string[]; endBytes: number }> {
  const content = Buffer.alloc(Math.max(0, sizeBytes - fromBytes));
  const { bytesRead } = await handle.read(content, 0, content.length, fromBytes);
  const lines: string[] = [];
  let endBytes = 0;
  while (lines.length < most) {
    const newline = content.subarray(0, bytesRead).indexOf(10, endBytes);
    if (newline < 0) break;
    lines.push(content.toString('utf8', endBytes, newline));
    endBytes = newline + 1;
  }
  return { lines, endBytes: fromBytes + endBytes };
}
