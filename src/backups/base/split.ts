import { createHash, type Hash, hash as hashOnce } from 'node:crypto';
import type { Readable } from 'node:stream';
import { baseBackupErrors } from './errors.ts';
import { createFileSets, type FileFacts, type FileSets, groupOf } from './file-sets.ts';
import type { ObjectWriter } from './object-writer.ts';
import {
  createPostgresManifestReader,
  parseBackupLabel,
  postgresManifestPath,
  type WalRange,
} from './postgres-manifest.ts';
import { createTarReader, type TarEntry, tarEnd } from './tar-reader.ts';

/** Takes the files of one database. */
export interface DatabaseSink {
  /** undefined: its bytes are read and thrown away. */
  readonly writer: ObjectWriter | undefined;
  /** All files have arrived; what is left to do goes on beside the next database. */
  close(files: readonly FileFacts[]): Promise<void>;
}

export interface SplitOptions {
  readonly archive: Readable;
  readonly shared: ObjectWriter;
  openDatabase(oid: number): Promise<DatabaseSink>;
  onBytes(count: number): void;
}

/** What PostgreSQL said about its backup, and what came. */
export interface Arrived {
  readonly startLsn: string;
  readonly timeline: number;
  readonly walRanges: readonly WalRange[];
  readonly systemIdentifier: string;
  readonly sharedBytes: number;
}

const nothing = Buffer.alloc(0);
const longestLabelBytes = 64 * 1024;

/**
 * Reads the archive of a base backup once and hands every database to a sink of its own, everything else to `shared`. The tar blocks go on as
 * they came, so each part is a tar archive of the same paths. Folders of databases are in `shared` as well: after a restore of `shared` alone
 * they exist and are empty. Throws FH_BASE_BACKUP_MISMATCH unless exactly the files of PostgreSQL's own manifest came, each with its SHA-256.
 */
export async function splitArchive({ archive, shared, openDatabase, onBytes }: SplitOptions): Promise<Arrived> {
  const tar = createTarReader();
  const sent = createFileSets();
  const came = createFileSets();
  const manifest = createPostgresManifestReader(sent.add);
  const seen = new Set<number>();
  let database: { oid: number; sink: DatabaseSink; files: FileFacts[] } | undefined;
  let hash: Hash | undefined;
  let whole: Buffer | undefined;
  let entry: TarEntry | undefined;
  let sharedBytes = 0;
  const kept = new Map<string, Buffer>();

  async function closeDatabase(): Promise<void> {
    const closing = database;
    database = undefined;
    closing?.sink.writer?.write(tarEnd);
    await closing?.sink.close(closing.files);
  }

  async function startEntry(next: TarEntry): Promise<void> {
    entry = next;
    hash = undefined;
    whole = undefined;
    const group = groupOf(next.path);
    if (group === (database?.oid ?? 'shared')) return;
    await closeDatabase();
    if (group === 'shared') return;
    if (seen.has(group)) throw mismatch(`the files of database ${group} do not come together`);
    seen.add(group);
    database = { oid: group, sink: await openDatabase(group), files: [] };
  }

  function takeContent(bytes: Buffer): void {
    // Most files come in one piece, which needs no hash object: with thousands of databases these are what the garbage collector finds.
    if (bytes.length === entry!.sizeBytes) whole = bytes;
    else hash = (hash ?? createHash('sha256')).update(bytes);
    if (database) return;
    sharedBytes += bytes.length;
    const { path } = entry!;
    if (path === postgresManifestPath) manifest.write(bytes);
    else if (path === 'backup_label' || path === 'global/pg_control') {
      const before = kept.get(path) ?? Buffer.alloc(0);
      if (before.length + bytes.length > longestLabelBytes) throw mismatch(`${path} is too large`);
      kept.set(path, Buffer.concat([before, bytes]));
    }
  }

  function endEntry({ path, sizeBytes, kind }: TarEntry): void {
    if (kind !== 'file') return;
    const facts = { path, sizeBytes, sha256: hash?.digest('hex') ?? hashOnce('sha256', whole ?? nothing) };
    if (path !== postgresManifestPath) came.add(facts);
    database?.files.push(facts);
  }

  for await (const chunk of archive as AsyncIterable<Buffer>) {
    for (const part of tar.parts(chunk)) {
      if (part.kind === 'end-of-entry') {
        endEntry(part.entry);
        continue;
      }
      if (part.kind === 'header') await startEntry(part.entry);
      if (part.kind === 'content') takeContent(part.bytes);
      if (database) database.sink.writer?.write(part.bytes);
      if (!database || entry!.kind === 'folder') shared.write(part.bytes);
    }
    onBytes(chunk.length);
    await (database?.sink.writer ?? shared).room();
  }
  tar.end();
  await closeDatabase();
  shared.write(tarEnd);
  const walRanges = manifest.end();
  compare(sent, came);
  const label = kept.get('backup_label');
  const control = kept.get('global/pg_control');
  if (!label || !control || control.length < 8) throw mismatch('backup_label or pg_control is missing');
  return {
    ...parseBackupLabel(label.toString('utf8')),
    walRanges,
    // First field of pg_control in every version, in the byte order of the server's machine, which is ours.
    systemIdentifier: control.readBigUInt64LE(0).toString(),
    sharedBytes,
  };
}

function compare(sent: FileSets, came: FileSets): void {
  for (const group of new Set([...sent.groups(), ...came.groups()])) {
    if (sent.of(group) !== came.of(group)) {
      throw mismatch(
        group === 'shared' ? 'the files outside databases differ' : `the files of database ${group} differ`,
      );
    }
  }
}

function mismatch(detail: string) {
  return baseBackupErrors.FH_BASE_BACKUP_MISMATCH({ detail });
}
