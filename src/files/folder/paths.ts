import { filesErrors } from '../errors.ts';

/** NAME_MAX and PATH_MAX of Linux (limits.h), the latter without the NUL at the end. */
const longestPart = 255;
const longestPath = 4_095;

/**
 * The path of an entry below the folder; undefined: the folder itself. The folder's owner chose the name: it must lead to one place, below. What is no UTF-8 was made
 * U+FFFD by the parser, and two such names would be one.
 */
export function parsePath(name: string, isFolder: boolean): string | undefined {
  let path = name;
  while (path.startsWith('./')) path = path.slice(2).replace(/^\/+/, '');
  if (isFolder) path = path.replace(/\/+$/, '');
  if (isFolder && (path === '.' || (path === '' && !name.startsWith('/')))) return undefined;
  const refuse = (why: string) =>
    filesErrors.FH_FOLDER_INVALID({ detail: `${JSON.stringify(name.slice(0, 200))} ${why}` });
  if (path === '' || name.startsWith('/')) throw refuse('does not lie below the folder');
  if (/[\0\ufffd]/.test(path) || !path.isWellFormed()) throw refuse('is not UTF-8');
  if (Buffer.byteLength(path) > longestPath) throw refuse('is too long');
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') throw refuse('does not lie below the folder');
    if (Buffer.byteLength(part) > longestPart) throw refuse('is too long');
  }
  return path;
}
