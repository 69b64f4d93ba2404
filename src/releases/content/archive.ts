import type { FileHandle } from 'node:fs/promises';
import { type ContentEntry, contentInvalid, findPathProblem, findTreeProblems, maxEntries, show } from './entries.ts';

/** An entry and where its bytes lie in the archive. */
export interface ArchiveEntry extends ContentEntry {
  readonly offset: number;
}

const blockBytes = 512;
const pieceBytes = 256 * 1024;
/** Of one extended header: two paths. */
const maxExtendedBytes = 8_192;
const kinds: Readonly<Record<string, ContentEntry['kind']>> = { '0': 'file', '\0': 'file', '2': 'link', '5': 'folder' };

/**
 * Lists what is in an archive without reading its content. Takes POSIX tar (ustar, with `x` headers that give a longer path) and nothing else: devices,
 * hard links, sparse files and modes with setuid are refused. No header makes us allocate what it claims.
 */
export async function readArchive(file: FileHandle, archiveBytes: number): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  let extended: Record<string, string> = {};
  for (let offset = 0; ; ) {
    const header = await readBlock(file, offset, blockBytes);
    if (header.every((byte) => byte === 0)) break;
    const { type, sizeBytes, mode, name, link } = parseHeader(header);
    const content = offset + blockBytes;
    const next = content + Math.ceil(sizeBytes / blockBytes) * blockBytes;
    // Written so that no arithmetic on a huge claimed size can wrap or round.
    if (sizeBytes > archiveBytes || next > archiveBytes) throw contentInvalid('the archive is cut short');
    offset = next;
    if (type === 'x') {
      if (sizeBytes > maxExtendedBytes) throw contentInvalid('an extended header is too long');
      extended = parseExtended(await readBlock(file, content, sizeBytes));
      continue;
    }
    const path = (extended.path ?? name).replace(/^\.\//, '').replace(/\/$/, '');
    const target = extended.linkpath ?? link;
    extended = {};
    const kind = kinds[type];
    if (!kind) throw contentInvalid(`${show(path)} is neither a file, a folder nor a symbolic link`);
    const problem = findPathProblem(path);
    if (problem) throw contentInvalid(`${show(path)}: ${problem}`);
    if (mode & 0o7000) throw contentInvalid(`${show(path)} has a setuid, setgid or sticky bit`);
    if (kind !== 'file' && sizeBytes > 0) throw contentInvalid(`${show(path)} is no file and has content`);
    if (entries.length >= maxEntries) throw contentInvalid(`there are more than ${maxEntries} files and folders`);
    entries.push({
      path,
      kind,
      isExecutable: kind === 'file' && (mode & 0o100) !== 0,
      sizeBytes,
      target: kind === 'link' ? target : '',
      offset: content,
    });
  }
  const [problem] = findTreeProblems(entries);
  if (problem) throw contentInvalid(problem);
  return entries;
}

/** The bytes of a file, in pieces; a piece is overwritten by the next. By the handle: ten thousand streams of one handle are ten thousand listeners on it. */
export async function* readContent(
  file: FileHandle,
  { offset, sizeBytes }: Pick<ArchiveEntry, 'offset' | 'sizeBytes'>,
): AsyncGenerator<Buffer> {
  const piece = Buffer.allocUnsafe(Math.min(sizeBytes, pieceBytes));
  for (let at = 0; at < sizeBytes; ) {
    const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, sizeBytes - at), offset + at);
    if (bytesRead === 0) throw contentInvalid('the archive is cut short');
    yield piece.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function readBlock(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const block = Buffer.alloc(length);
  const { bytesRead } = await file.read(block, 0, length, offset);
  if (bytesRead < length) throw contentInvalid('the archive is cut short');
  return block;
}

function parseHeader(header: Buffer) {
  if (header.toString('latin1', 257, 262) !== 'ustar') throw contentInvalid('it is not a tar archive');
  let sum = 8 * 32;
  for (const [index, byte] of header.entries()) if (index < 148 || index >= 156) sum += byte;
  if (sum !== parseOctal(header, 148, 8)) throw contentInvalid('a header of the archive is damaged');
  const prefix = parseText(header.subarray(345, 500));
  const name = parseText(header.subarray(0, 100));
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    link: parseText(header.subarray(157, 257)),
    type: String.fromCharCode(header[156]!),
    mode: parseOctal(header, 100, 8),
    sizeBytes: parseOctal(header, 124, 12),
  };
}

/** POSIX.1-2001 pax: `LENGTH KEY=VALUE\n`. Only what a longer path needs; a `size` here would contradict the header's. */
function parseExtended(block: Buffer): Record<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < block.length; ) {
    const space = block.indexOf(0x20, at);
    const digits = space < 0 ? '' : block.toString('latin1', at, space);
    const length = /^[1-9][0-9]{0,4}$/.test(digits) ? Number(digits) : 0;
    const record = parseText(block.subarray(space + 1, at + length));
    const match = /^(path|linkpath)=(.+)\n$/s.exec(record);
    if (length === 0 || at + length > block.length || !match || records.has(match[1]!))
      throw contentInvalid('an extended header of the archive is none of ours');
    records.set(match[1]!, match[2]!);
    at += length;
  }
  return Object.fromEntries(records);
}

/** To the first NUL. A name that is no UTF-8 shows U+FFFD, which no path may hold. */
function parseText(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? field.length : end);
}

function parseOctal(header: Buffer, start: number, length: number): number {
  const match = /^ *([0-7]+)[ \0]*$/.exec(header.toString('latin1', start, start + length));
  if (!match) throw contentInvalid('a number in a header of the archive is malformed');
  return Number.parseInt(match[1]!, 8);
}
