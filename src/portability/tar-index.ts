import type { FileHandle } from 'node:fs/promises';
import { portabilityErrors } from './errors.ts';

/** One member of an archive: where its bytes lie in the file. */
export interface TarMember {
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

const blockBytes = 512;
/** A million files and some: bounds the memory that a hostile archive can cost. */
const maxMembers = 1_100_000;

/**
 * Lists the members of an archive without reading their content. Takes only what our own export writes: plain files with short
 * ASCII names (POSIX.1-1988 ustar). Extended headers, links, folders and devices are refused, which is also what keeps sizes
 * bounded: no header makes us allocate what it claims.
 */
export async function indexTar(file: FileHandle, archiveBytes: number): Promise<TarMember[]> {
  const members: TarMember[] = [];
  const header = Buffer.alloc(blockBytes);
  let offset = 0;
  for (;;) {
    const { bytesRead } = await file.read(header, 0, blockBytes, offset);
    if (bytesRead < blockBytes) throw invalid('it is cut short');
    if (header.every((byte) => byte === 0)) return members;
    const member = parseHeader(header, offset + blockBytes);
    const next = member.offset + Math.ceil(member.sizeBytes / blockBytes) * blockBytes;
    // Written so that no arithmetic on a huge claimed size can wrap or round.
    if (member.sizeBytes > archiveBytes || next > archiveBytes) throw invalid(`${member.name} is cut short`);
    if (members.length >= maxMembers) throw invalid('it has too many members');
    members.push(member);
    offset = next;
  }
}

function parseHeader(header: Buffer, offset: number): TarMember {
  if (header.toString('latin1', 257, 262) !== 'ustar') throw invalid('it is not a tar archive');
  let sum = 8 * 32;
  for (let index = 0; index < blockBytes; index++) if (index < 148 || index >= 156) sum += header[index]!;
  if (sum !== parseOctal(header, 148, 8)) throw invalid('a header is damaged');
  const name = parseText(header, 0, 100);
  const type = String.fromCharCode(header[156]!);
  if (type !== '0') throw invalid(`${JSON.stringify(name.slice(0, 80))} is not a plain file`);
  if (parseText(header, 157, 100) !== '' || parseText(header, 345, 155) !== '') {
    throw invalid(`${JSON.stringify(name.slice(0, 80))} is not a member of an archive of ours`);
  }
  return { name, offset, sizeBytes: parseSize(header) };
}

function parseText(header: Buffer, start: number, length: number): string {
  const end = header.indexOf(0, start);
  return header.toString('latin1', start, end < 0 || end > start + length ? start + length : end);
}

/** Octal digits, or for 8 GiB and more a binary number marked by the first bit, as GNU tar and others write it. */
function parseSize(header: Buffer): number {
  if (header[124]! < 0x80) return parseOctal(header, 124, 12);
  if (header[124] !== 0x80) throw invalid('a size is negative');
  for (let index = 125; index < 130; index++) if (header[index] !== 0) throw invalid('a size is impossible');
  const size = header.readUIntBE(130, 6);
  if (!Number.isSafeInteger(size)) throw invalid('a size is impossible');
  return size;
}

function parseOctal(header: Buffer, start: number, length: number): number {
  const match = /^ *([0-7]+)[ \0]*$/.exec(header.toString('latin1', start, start + length));
  if (!match) throw invalid('a number in a header is malformed');
  return Number.parseInt(match[1]!, 8);
}

function invalid(detail: string) {
  return portabilityErrors.FH_ARCHIVE_INVALID({ detail });
}
