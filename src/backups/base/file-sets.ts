import { createHash, type Hash, hash as hashOnce } from 'node:crypto';

export interface FileFacts {
  readonly path: string;
  readonly sizeBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** The files of one database, or everything else. */
export type FileGroup = number | 'shared';

/** `base/16384/…` → 16384. */
export function groupOf(path: string): FileGroup {
  const match = /^base\/([1-9]\d{0,9})(?:\/|$)/.exec(path);
  return match ? Number(match[1]) : 'shared';
}

/**
 * One digest per group of files, whatever the order they come in: the XOR of a SHA-256 per file. It compares what arrived with what
 * PostgreSQL says it sent, in memory that grows with databases and not with files. (XOR would not withstand somebody who chooses the files;
 * here both sides come from the same server, and what lies in regions is authenticated.)
 */
export function createFileSets() {
  const sets = new Map<FileGroup, { digest: Buffer; count: number }>();
  return {
    add(file: FileFacts): void {
      const group = groupOf(file.path);
      const set = sets.get(group) ?? { digest: Buffer.alloc(32), count: 0 };
      sets.set(group, set);
      const line = hashOnce('sha256', lineOf(file), 'buffer');
      for (let index = 0; index < 32; index++) set.digest[index]! ^= line[index]!;
      set.count++;
    },
    groups: (): IterableIterator<FileGroup> => sets.keys(),
    /** Number of files and digest, in words that are equal when the files are. */
    of: (group: FileGroup): string => {
      const set = sets.get(group);
      return set ? `${set.count} ${set.digest.toString('hex')}` : '0';
    },
  };
}

export type FileSets = ReturnType<typeof createFileSets>;

/**
 * Content hash of a database: SHA-256 over the lines `<sha256> <size> <path>\n` of its files, sorted by path (as bytes), paths from the data
 * folder on. Times and modes are not part of it.
 */
export function contentSha256(files: readonly FileFacts[]): string {
  const hash: Hash = createHash('sha256');
  for (const file of [...files].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))) {
    hash.update(lineOf(file));
  }
  return hash.digest('hex');
}

function lineOf({ sha256, sizeBytes, path }: FileFacts): string {
  return `${sha256} ${sizeBytes} ${path}\n`;
}
