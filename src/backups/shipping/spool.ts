import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { type Clock, failpoint, lsnName, timelineName } from '#src/kernel/index.ts';
import { shippingErrors } from './errors.ts';
import type { WalRange } from './wal-objects.ts';

export type SpoolName = { readonly fileName: string; readonly timeline: number } & (
  | { readonly kind: 'wal'; readonly range: WalRange }
  | { readonly kind: 'history' }
);

/** A sealed object that is owed to regions, byte for byte as they get it. */
export type SpoolEntry = SpoolName & {
  readonly sizeBytes: number;
  /** Wall clock at which its first byte was received. */
  readonly receivedAtMs: number;
};

/**
 * Sealed chunks on the local disk until every region has them. Invariant: an entry is whole and on disk, or not there. Entries are in the
 * order of timelines and places; the history of a timeline comes before its chunks.
 */
export interface Spool {
  /** Oldest first. */
  entries(): readonly SpoolEntry[];
  /** Of all files. */
  sizeBytes(): number;
  /** Of those that some region lacks. */
  owedBytes(): number;
  addChunk(range: WalRange, sealed: Uint8Array, receivedAtMs: number): Promise<SpoolEntry>;
  addHistory(timeline: number, sealed: Uint8Array): Promise<SpoolEntry>;
  read(entry: SpoolEntry): Promise<Buffer>;
  /** Removes an entry that every region has, or is owed by another region. The newest chunk stays: it says where to go on after a restart. */
  release(entry: SpoolEntry): Promise<void>;
  /** Kept only because it is the newest chunk. */
  isReleased(entry: SpoolEntry): boolean;
  /** Binds the spool to one cluster for ever; throws FH_WAL_OTHER_CLUSTER when it is bound to another. */
  claim(systemIdentifier: string): Promise<void>;
}

const temporaryEnding = '.tmp';
const claimFile = 'system_identifier';
/** Lies in the same folder, so that it shares the fate of the spool: owed.ts. */
export const owedFile = 'owed.json';
const namePattern = /^([0-9a-f]{8})_(?:([0-9a-f]{16})_([0-9a-f]{16})|history)$/;

/** Opens the spool in `folder` (made 0700 when it is not there); what a killed process left half written is removed. */
export async function openSpool(folder: string, clock: Clock): Promise<Spool> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const entries: SpoolEntry[] = [];
  /** Released, kept only as the newest. */
  const kept = new Set<SpoolEntry>();
  let sizeBytes = 0;
  let claimedBy: string | undefined;

  for (const fileName of await readdir(folder)) {
    const file = path.join(folder, fileName);
    if (fileName.endsWith(temporaryEnding)) await unlink(file);
    else if (fileName === owedFile) continue;
    else if (fileName === claimFile) claimedBy = await readFile(file, 'utf8');
    else {
      const facts = await stat(file);
      insert(parseEntry(fileName, facts.size, facts.mtimeMs));
    }
  }
  await syncFolder(folder);

  function insert(entry: SpoolEntry): SpoolEntry {
    const after = entries.findLastIndex((other) => compareEntries(other, entry) < 0);
    entries.splice(after + 1, 0, entry);
    sizeBytes += entry.sizeBytes;
    return entry;
  }

  async function write(fileName: string, sealed: Uint8Array): Promise<void> {
    const file = path.join(folder, fileName);
    const temporary = file + temporaryEnding;
    try {
      const handle = await open(temporary, 'w', 0o600);
      try {
        await handle.writeFile(sealed);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await failpoint('shipping.spool.written');
      await rename(temporary, file);
    } catch (error) {
      // The next try is cut otherwise and has another name: on a full disk the halves would take what room there is.
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    await failpoint('shipping.spool.named');
    await syncFolder(folder);
    await failpoint('shipping.spool.durable');
  }

  async function remove(entry: SpoolEntry): Promise<void> {
    await unlink(path.join(folder, entry.fileName));
    entries.splice(entries.indexOf(entry), 1);
    kept.delete(entry);
    sizeBytes -= entry.sizeBytes;
    await failpoint('shipping.spool.removed');
  }

  return {
    entries: () => entries,
    sizeBytes: () => sizeBytes,
    owedBytes: () => [...kept].reduce((rest, entry) => rest - entry.sizeBytes, sizeBytes),
    async addChunk(range, sealed, receivedAtMs) {
      const fileName = `${timelineName(range.timeline)}_${lsnName(range.start)}_${lsnName(range.end)}`;
      await write(fileName, sealed);
      const size = sealed.byteLength;
      const entry = insert({ kind: 'wal', fileName, timeline: range.timeline, range, sizeBytes: size, receivedAtMs });
      for (const older of [...kept]) await remove(older);
      return entry;
    },
    async addHistory(timeline, sealed) {
      const fileName = `${timelineName(timeline)}_history`;
      const earlier = entries.find((entry) => entry.fileName === fileName);
      if (earlier) return earlier;
      await write(fileName, sealed);
      const receivedAtMs = clock.now();
      return insert({ kind: 'history', fileName, timeline, sizeBytes: sealed.byteLength, receivedAtMs });
    },
    read: (entry) => readFile(path.join(folder, entry.fileName)),
    async release(entry) {
      const isNewest = entry === entries.findLast((other) => other.kind === 'wal');
      if (isNewest) kept.add(entry);
      else await remove(entry);
    },
    isReleased: (entry) => kept.has(entry),
    async claim(systemIdentifier) {
      if (claimedBy === undefined) {
        await write(claimFile, Buffer.from(systemIdentifier));
        claimedBy = systemIdentifier;
      }
      if (claimedBy !== systemIdentifier) {
        const detail = `spool: ${claimedBy}, server: ${systemIdentifier}`;
        throw shippingErrors.FH_WAL_OTHER_CLUSTER({ detail });
      }
    },
  };
}

function parseEntry(fileName: string, sizeBytes: number, receivedAtMs: number): SpoolEntry {
  const name = parseSpoolName(fileName);
  if (!name) throw shippingErrors.FH_WAL_SPOOL_DAMAGED({ detail: fileName });
  return { ...name, sizeBytes, receivedAtMs };
}

/** What the name of a file in the spool says; undefined: it is none of an entry. */
export function parseSpoolName(fileName: string): SpoolName | undefined {
  const match = namePattern.exec(fileName);
  if (!match) return undefined;
  const timeline = Number.parseInt(match[1]!, 16);
  if (match[2] === undefined) return { kind: 'history', fileName, timeline };
  const range = { timeline, start: BigInt(`0x${match[2]}`), end: BigInt(`0x${match[3]}`) };
  return { kind: 'wal', fileName, timeline, range };
}

/** Negative: `a` is sent first. */
export function compareEntries(a: SpoolEntry, b: SpoolEntry): number {
  if (a.timeline !== b.timeline) return a.timeline - b.timeline;
  if (a.kind !== b.kind) return a.kind === 'history' ? -1 : 1;
  if (a.kind === 'history' || b.kind === 'history') return 0;
  return a.range.start < b.range.start ? -1 : a.range.start > b.range.start ? 1 : 0;
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
