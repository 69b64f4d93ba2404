import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { releaseErrors } from '../errors.ts';

/** What a version may be at most, packed. Nothing is compressed, so no archive grows by being unpacked. */
export const maxArchiveBytes = 1024 ** 3;
export const maxEntries = 100_000;
const maxPathBytes = 1_024;
const maxNameBytes = 255;
const maxDepth = 64;

/** A file, folder or symbolic link of a version. Paths are relative, with `/`, without `.` and `..`. */
export interface ContentEntry {
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link';
  /** Of a file. Nothing else of its mode is kept. */
  readonly isExecutable: boolean;
  /** 0 unless it is a file. */
  readonly sizeBytes: number;
  /** Of a link. */
  readonly target: string;
}

/** Why this cannot be a path in a version; undefined: it can. */
export function findPathProblem(path: string): string | undefined {
  if (path === '') return 'it has no name';
  if (path.startsWith('/')) return 'it is absolute';
  if (!path.isWellFormed() || path.includes('\ufffd')) return 'its name is not UTF-8';
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'its name holds control characters';
  if (path.includes('\\')) return 'its name holds a backslash';
  const names = path.split('/');
  if (names.some((name) => name === '' || name === '.' || name === '..')) return 'it is not a plain path';
  if (names.some((name) => Buffer.byteLength(name) > maxNameBytes))
    return `a name is longer than ${maxNameBytes} bytes`;
  if (Buffer.byteLength(path) > maxPathBytes) return `its path is longer than ${maxPathBytes} bytes`;
  return names.length > maxDepth ? `it lies more than ${maxDepth} folders deep` : undefined;
}

/**
 * What is wrong with the entries together: too many, two of one name, content in something that is no folder, links that lead out. Names that differ only in
 * case or in how Unicode writes them are one, because on some file systems they are.
 */
export function findTreeProblems(entries: readonly ContentEntry[]): string[] {
  if (entries.length > maxEntries)
    return [`there are ${entries.length} files and folders; at most ${maxEntries} are allowed`];
  const problems: string[] = [];
  const byName = new Map<string, ContentEntry>();
  const byPath = new Map<string, ContentEntry>();
  for (const entry of entries) {
    const name = entry.path.normalize('NFC').toLowerCase();
    const other = byName.get(name);
    if (other) problems.push(`${show(entry.path)} and ${show(other.path)} have the same name`);
    byName.set(name, entry);
    const parent = posix.dirname(entry.path);
    if (parent !== '.' && byPath.get(parent)?.kind !== 'folder')
      problems.push(`${show(entry.path)} lies in ${show(parent)}, which does not come before it as a folder`);
    byPath.set(entry.path, entry);
  }
  for (const { kind, path, target } of entries)
    if (kind === 'link' && leadsOut(path, target, byPath))
      problems.push(`${show(path)} leads out of the folder, to ${show(target)}`);
  return problems;
}

/** Follows a link as the kernel does (path_resolution(7)), through other links: `a/../b` is not `b` when `a` is a link. */
function leadsOut(path: string, target: string, byPath: ReadonlyMap<string, ContentEntry>): boolean {
  let at = posix.dirname(path) === '.' ? [] : posix.dirname(path).split('/');
  const rest = target.split('/').reverse();
  if (target === '' || target.startsWith('/')) return true;
  // 40 is where Linux gives up; the words of all targets together are bounded as well.
  for (let links = 0, words = 0; rest.length > 0; words++) {
    if (words > 4_096) return true;
    const word = rest.pop()!;
    if (word === '' || word === '.') continue;
    if (word === '..') {
      if (at.length === 0) return true;
      at = at.slice(0, -1);
      continue;
    }
    const next = [...at, word];
    const entry = byPath.get(next.join('/'));
    if (entry?.kind !== 'link') {
      at = next;
      continue;
    }
    if (++links > 40 || entry.target.startsWith('/')) return true;
    rest.push(...entry.target.split('/').reverse());
  }
  return false;
}

/** SHA-256 of the content in its canonical form, hex: what was packed again unchanged has the same. */
export function digestContent(entries: readonly (ContentEntry & { readonly sha256: string })[]): string {
  const hash = createHash('sha256').update('freehold app content 1\n');
  const byPath = entries.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  for (const { path, kind, isExecutable, sizeBytes, sha256, target } of byPath)
    hash.update(`${JSON.stringify([kind, path, isExecutable, sizeBytes, sha256, target])}\n`);
  return hash.digest('hex');
}

export function contentInvalid(detail: string, cause?: unknown) {
  return releaseErrors.FH_APP_CONTENT_INVALID({ detail, cause });
}

export function show(text: string): string {
  return JSON.stringify(text.length > 120 ? `…${text.slice(-120)}` : text);
}
