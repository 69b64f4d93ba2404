import { baseBackupErrors } from './errors.ts';

export interface TarEntry {
  /** Relative path without `./` in front and `/` behind. */
  readonly path: string;
  readonly kind: 'file' | 'folder';
  readonly sizeBytes: number;
}

/** A stretch of the archive. The raw bytes of all parts in order are the archive up to its end marker. */
export type TarPart =
  | { readonly kind: 'header'; readonly bytes: Buffer; readonly entry: TarEntry }
  /** Content of the entry. */
  | { readonly kind: 'content'; readonly bytes: Buffer }
  | { readonly kind: 'padding'; readonly bytes: Buffer }
  | { readonly kind: 'end-of-entry'; readonly entry: TarEntry };

const blockBytes = 512;
/** Two blocks of zeros end an archive (POSIX pax, "ustar Interchange Format"). */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);

/**
 * Reads a tar archive as PostgreSQL writes it, once, without copying content. Takes plain files and folders with relative paths and nothing
 * else: a symbolic link would mean a tablespace, which a backup in one archive cannot hold. Throws FH_BASE_BACKUP_MISMATCH.
 */
export function createTarReader() {
  let header: Buffer = Buffer.alloc(0);
  let entry: TarEntry | undefined;
  let contentLeft = 0;
  let paddingLeft = 0;
  let endBlocks = 0;

  return {
    /** The parts in the next bytes. Take all of them before the next call; they are views of `chunk`. */
    *parts(chunk: Buffer): Generator<TarPart> {
      let at = 0;
      while (at < chunk.length) {
        if (contentLeft > 0) {
          const bytes = chunk.subarray(at, at + contentLeft);
          contentLeft -= bytes.length;
          at += bytes.length;
          yield { kind: 'content', bytes };
        } else if (paddingLeft > 0) {
          const bytes = chunk.subarray(at, at + paddingLeft);
          paddingLeft -= bytes.length;
          at += bytes.length;
          yield { kind: 'padding', bytes };
        } else {
          const bytes = chunk.subarray(at, at + blockBytes - header.length);
          header = header.length === 0 ? bytes : Buffer.concat([header, bytes]);
          at += bytes.length;
          if (header.length < blockBytes) continue;
          const block = header;
          header = Buffer.alloc(0);
          if (block.equals(zeroBlock)) {
            endBlocks++;
            continue;
          }
          if (endBlocks > 0) throw invalid('something follows the end of the archive');
          entry = parseHeader(block);
          contentLeft = entry.sizeBytes;
          paddingLeft = -entry.sizeBytes & (blockBytes - 1);
          yield { kind: 'header', bytes: block, entry };
        }
        if (entry && contentLeft === 0 && paddingLeft === 0) {
          const ended = entry;
          entry = undefined;
          yield { kind: 'end-of-entry', entry: ended };
        }
      }
    },
    /** Throws unless the archive ended as archives do. */
    end(): void {
      if (entry || header.length > 0 || endBlocks < 2) throw invalid('the archive is cut short');
    },
  };
}

const zeroBlock = Buffer.alloc(blockBytes);

function parseHeader(block: Buffer): TarEntry {
  if (block.toString('latin1', 257, 262) !== 'ustar') throw invalid('it is not a tar archive');
  let sum = 8 * 32;
  for (let index = 0; index < blockBytes; index++) if (index < 148 || index >= 156) sum += block[index]!;
  if (sum !== parseOctal(block, 148, 8)) throw invalid('a header is damaged');
  const prefix = parseText(block, 345, 155);
  const raw = parseText(block, 0, 100);
  const path = (prefix ? `${prefix}/${raw}` : raw).replace(/^\.\//, '').replace(/\/$/, '');
  if (path.split('/').some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw invalid(`${JSON.stringify(raw)} is not a path below the data folder`);
  }
  const type = block[156]!;
  const sizeBytes = parseSize(block);
  // '0' and NUL: plain file; '5': folder.
  if (type === 0x30 || type === 0) return { path, kind: 'file', sizeBytes };
  if (type === 0x35 && sizeBytes === 0) return { path, kind: 'folder', sizeBytes: 0 };
  throw invalid(`${JSON.stringify(path)} is neither a file nor a folder`);
}

function parseText(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start);
  return block.toString('utf8', start, end < 0 || end > start + length ? start + length : end);
}

/** Octal digits, or for 8 GiB and more a binary number marked by the first bit, as PostgreSQL writes it. */
function parseSize(block: Buffer): number {
  if (block[124]! < 0x80) return parseOctal(block, 124, 12);
  if (block[124] !== 0x80) throw invalid('a size is negative');
  for (let index = 125; index < 130; index++) if (block[index] !== 0) throw invalid('a size is impossible');
  return block.readUIntBE(130, 6);
}

function parseOctal(block: Buffer, start: number, length: number): number {
  const match = /^ *([0-7]+)[ \0]*$/.exec(block.toString('latin1', start, start + length));
  if (!match) throw invalid('a number in a header is malformed');
  return Number.parseInt(match[1]!, 8);
}

function invalid(detail: string) {
  return baseBackupErrors.FH_BASE_BACKUP_MISMATCH({ detail });
}
