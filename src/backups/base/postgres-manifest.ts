import { createHash } from 'node:crypto';
import { baseBackupErrors } from './errors.ts';
import type { FileFacts } from './file-sets.ts';

/** Name of PostgreSQL's own manifest in the archive. */
export const postgresManifestPath = 'backup_manifest';

export interface WalRange {
  readonly timeline: number;
  readonly startLsn: string;
  readonly endLsn: string;
}

/**
 * Reads PostgreSQL's `backup_manifest` as it comes, line by line: with thousands of databases it is too large to be parsed as one JSON
 * document. Its shape: https://www.postgresql.org/docs/15/backup-manifest-format.html; the server writes one object per line.
 * Throws FH_BASE_BACKUP_MISMATCH.
 */
export function createPostgresManifestReader(onFile: (file: FileFacts) => void) {
  const walRanges: WalRange[] = [];
  const hash = createHash('sha256');
  let rest = '';
  let checksum: string | undefined;

  function takeLine(line: string): void {
    const own = /^"Manifest-Checksum": "([0-9a-f]{64})"\}$/.exec(line);
    if (own) {
      checksum = own[1];
      if (hash.digest('hex') !== checksum) throw invalid('the manifest does not have its own checksum');
      return;
    }
    if (checksum) throw invalid('something follows the checksum');
    hash.update(`${line}\n`);
    if (line.startsWith('{ "Path"')) onFile(parseFile(parseObject(line)));
    else if (line.startsWith('{ "Timeline"')) walRanges.push(parseRange(parseObject(line)));
    else if (
      !/^(?:\{ "PostgreSQL-Backup-Manifest-Version": [12],|"(?:Files|WAL-Ranges)": \[|"System-Identifier": \d+,|\],)$/.test(
        line,
      )
    ) {
      throw invalid(`unknown line ${JSON.stringify(line.slice(0, 80))}`);
    }
  }

  return {
    write(bytes: Buffer): void {
      // Latin-1 keeps bytes apart; paths in a data folder are ASCII, others would come as "Encoded-Path".
      const lines = (rest + bytes.toString('latin1')).split('\n');
      rest = lines.pop()!;
      for (const line of lines) takeLine(line);
    },
    end(): readonly WalRange[] {
      if (rest !== '' || !checksum) throw invalid('the manifest is cut short');
      if (walRanges.length === 0) throw invalid('the manifest names no WAL');
      return walRanges;
    },
  };
}

function parseObject(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line.replace(/,$/, ''));
  } catch {
    throw invalid(`malformed line ${JSON.stringify(line.slice(0, 80))}`);
  }
}

function parseFile(value: Record<string, unknown>): FileFacts {
  const { Path: path, Size: sizeBytes, 'Checksum-Algorithm': algorithm, Checksum: sha256 } = value;
  if (typeof path !== 'string' || !Number.isSafeInteger(sizeBytes)) throw invalid('a file without path or size');
  if (algorithm !== 'SHA256' || typeof sha256 !== 'string') throw invalid(`${path} has no SHA-256`);
  return { path, sizeBytes: sizeBytes as number, sha256 };
}

function parseRange(value: Record<string, unknown>): WalRange {
  const { Timeline: timeline, 'Start-LSN': startLsn, 'End-LSN': endLsn } = value;
  if (!Number.isSafeInteger(timeline) || typeof startLsn !== 'string' || typeof endLsn !== 'string') {
    throw invalid('a malformed range of WAL');
  }
  return { timeline: timeline as number, startLsn, endLsn };
}

/** Where replay begins, from `backup_label`. */
export function parseBackupLabel(text: string): { readonly startLsn: string; readonly timeline: number } {
  const startLsn = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) /m.exec(text)?.[1];
  const timeline = /^START TIMELINE: (\d+)$/m.exec(text)?.[1];
  if (!startLsn || !timeline) throw invalid('backup_label has no start');
  return { startLsn, timeline: Number(timeline) };
}

function invalid(detail: string) {
  return baseBackupErrors.FH_BASE_BACKUP_MISMATCH({ detail });
}
