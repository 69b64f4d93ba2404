import { type BackupId, type ClusterId, FreeholdError, lsnName, parseLsn, walSegmentBytes } from '#src/kernel/index.ts';
import type { ObjectHeader } from '#src/keys/types.ts';
import type { ObjectName, RegionStore } from '#src/objects/index.ts';
import type { BackupManifest } from '../types.ts';
import { parseObjectName } from './names.ts';
import { parseAncestors } from './timelines.ts';
import type {
  BackupPlace,
  Catalogue,
  CataloguedBackup,
  CataloguedDump,
  CataloguedFile,
  CataloguedPiece,
  ClusterCatalogue,
  StoredObject,
  Timeline,
} from './types.ts';

/**
 * Opens sealed objects of one region. All resolve to undefined when the object is gone by now, and reject with FH_KEY_… or FH_BACKUP_… when it is there and
 * cannot be opened, which makes it unreadable in the catalogue. Any other error (FH_REGION_UNAVAILABLE) ends the building: what was not seen must
 * not look as if it were not there.
 */
export interface CatalogueReader {
  openManifest(
    name: ObjectName,
    expect: { clusterId: ClusterId; backupId: BackupId },
  ): Promise<BackupManifest | undefined>;
  /** The timeline history file. */
  openHistory(name: ObjectName, expect: { clusterId: ClusterId; timeline: number }): Promise<Uint8Array | undefined>;
  /** Authenticated header of a chunk, a segment or a dump. */
  openHeader(
    name: ObjectName,
    expect: Partial<ObjectHeader> & Pick<ObjectHeader, 'kind'>,
  ): Promise<Readonly<Record<string, unknown>> | undefined>;
}

export interface BuildOptions {
  readonly region: Pick<RegionStore, 'region' | 'list'>;
  readonly reader: CatalogueReader;
  /** Of the same region, earlier: names never change their content, so what was read then is not read again. */
  readonly previous?: Catalogue;
  /** Objects that are opened at once. Default 16. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
}

/** Everything one region holds, from its listing and what its own sealed objects say: needs no other region and no database. */
export async function buildCatalogue(options: BuildOptions): Promise<Catalogue> {
  const { region, reader, previous, concurrency = 16, signal } = options;
  const clusters = new Map<ClusterId, Found>();
  const foundOf = (clusterId: ClusterId): Found => {
    const found = clusters.get(clusterId) ?? { folders: new Map(), pieces: [], unreadablePieces: [], timelines: [] };
    clusters.set(clusterId, found);
    return found;
  };
  const data = new Map<ObjectName, StoredObject>();
  const dumps: CataloguedDump[] = [];
  const files: CataloguedFile[] = [];
  const others: ObjectName[] = [];
  const strangers: ObjectName[] = [];
  const known = knownFacts(previous);
  const openings: (() => Promise<void>)[] = [];

  for await (const info of region.list('')) {
    signal?.throwIfAborted();
    const stored = { name: info.name, sizeBytes: info.sizeBytes, storedAt: info.createdAt };
    const named = parseObjectName(info.name);
    if (!named) strangers.push(info.name);
    else if (named.kind === 'other') others.push(info.name);
    else if (named.kind === 'data') data.set(info.name, stored);
    else if (named.kind === 'file') files.push({ ...stored, tenantId: named.tenantId });
    else if (named.kind === 'dump') openings.push(() => addDump(stored, named));
    else if (named.kind === 'history') openings.push(() => addTimeline(stored, named));
    else if ('start' in named) openings.push(() => addPiece(stored, named));
    else {
      const { folders } = foundOf(named.clusterId);
      folders.set(named.backupId, [...(folders.get(named.backupId) ?? []), stored]);
    }
  }

  async function addDump(
    stored: StoredObject,
    { tenantId, dumpId }: { tenantId: CataloguedDump['tenantId']; dumpId: string },
  ) {
    const header = await readHeader(stored, { kind: 'dump' });
    if (header !== 'gone') dumps.push({ ...stored, tenantId, dumpId, madeAt: dateOf(header?.madeAt) });
  }

  async function addTimeline(
    stored: StoredObject,
    { clusterId, timeline }: { clusterId: ClusterId; timeline: number },
  ) {
    const before = previous?.clusters.get(clusterId)?.timelines.get(timeline)?.ancestors;
    const ancestors =
      before ??
      (await tryOpen(async () => {
        const content = await reader.openHistory(stored.name, { clusterId, timeline });
        return content && parseAncestors(timeline, content);
      }));
    if (ancestors === 'gone') return;
    foundOf(clusterId).timelines.push({ ...stored, timeline, ancestors });
  }

  async function addPiece(
    stored: StoredObject,
    {
      kind,
      clusterId,
      timeline,
      start,
    }: { kind: 'wal' | 'segment'; clusterId: ClusterId; timeline: number; start: bigint },
  ) {
    const piece = await readHeader(stored, { kind, cluster: clusterId, timeline, start: lsnName(start) });
    if (piece === 'gone') return;
    const end = kind === 'segment' ? start + walSegmentBytes : lsnOf(piece?.end);
    if (end === undefined || end <= start) {
      foundOf(clusterId).unreadablePieces.push(stored);
      return;
    }
    const { name, sizeBytes, storedAt } = stored;
    const firstCommitAt = dateOf(piece?.firstCommitAt);
    const lastCommitAt = dateOf(piece?.lastCommitAt);
    const times = firstCommitAt && lastCommitAt && { firstCommitAt, lastCommitAt };
    foundOf(clusterId).pieces.push({ kind, name, timeline, start, end, sizeBytes, storedAt, ...times });
  }

  async function readHeader(stored: StoredObject, expect: Partial<ObjectHeader> & Pick<ObjectHeader, 'kind'>) {
    return known.get(stored.name) ?? tryOpen(() => reader.openHeader(stored.name, expect));
  }

  await inParallel(openings, concurrency, signal);
  const catalogues = new Map<ClusterId, ClusterCatalogue>();
  for (const [clusterId, found] of clusters) {
    const backups = await readBackups(clusterId, found, { reader, previous, data, concurrency, signal });
    catalogues.set(clusterId, {
      clusterId,
      backups,
      timelines: new Map(
        found.timelines.sort((a, b) => a.timeline - b.timeline).map((entry) => [entry.timeline, entry]),
      ),
      pieces: groupPieces(found.pieces),
      unreadablePieces: found.unreadablePieces,
    });
  }
  return { region: region.region, clusters: catalogues, data, dumps: dumps.sort(byName), files, others, strangers };
}

interface Found {
  readonly folders: Map<BackupId, StoredObject[]>;
  readonly pieces: CataloguedPiece[];
  readonly unreadablePieces: StoredObject[];
  readonly timelines: Timeline[];
}

async function readBackups(
  clusterId: ClusterId,
  { folders }: Found,
  context: Pick<BuildOptions, 'reader' | 'previous' | 'signal'> & {
    readonly data: ReadonlyMap<ObjectName, StoredObject>;
    readonly concurrency: number;
  },
): Promise<readonly CataloguedBackup[]> {
  const { reader, previous, data, concurrency, signal } = context;
  const before = new Map(
    previous?.clusters
      .get(clusterId)
      ?.backups.flatMap((backup) => ('manifest' in backup ? [[backup.backupId, backup.manifest]] : [])),
  );
  const backups: CataloguedBackup[] = [];
  const readings = [...folders].map(([backupId, objects]) => async () => {
    const manifestName = `base/${clusterId}/${backupId}/manifest`;
    const stored = objects.find(({ name }) => name === manifestName);
    const place: BackupPlace = { backupId, clusterId, objects, storedAt: (stored ?? objects[0]!).storedAt };
    if (!stored) {
      backups.push({ ...place, state: 'unfinished' });
      return;
    }
    const manifest =
      before.get(backupId) ?? (await tryOpen(() => reader.openManifest(manifestName, { clusterId, backupId })));
    if (manifest === 'gone') backups.push({ ...place, state: 'unfinished' });
    else
      backups.push(
        toBackup(
          place,
          manifest,
          (name) => (data.get(name) ?? objects.find((found) => found.name === name))?.sizeBytes,
        ),
      );
  });
  await inParallel(readings, concurrency, signal);
  return backups.sort(byStart);
}

/** A readable manifest with what this region has of it; one that contradicts its own name or itself is as good as unreadable. */
export function toBackup(
  place: BackupPlace,
  manifest: BackupManifest | undefined,
  sizeOf: (name: ObjectName) => number | undefined,
): CataloguedBackup {
  const startLsn = lsnOf(manifest?.startLsn);
  const stopLsn = lsnOf(manifest?.stopLsn);
  const startedAt = dateOf(manifest?.startedAt);
  const finishedAt = dateOf(manifest?.finishedAt);
  const isSound =
    manifest &&
    manifest.clusterId === place.clusterId &&
    manifest.backupId === place.backupId &&
    manifest.timeline >= 1;
  if (!isSound || startLsn === undefined || stopLsn === undefined || stopLsn < startLsn || !startedAt || !finishedAt)
    return { ...place, state: 'unreadable' };
  // One that is there with another size is not the one that was written.
  const missing = new Set(
    [manifest.shared, ...manifest.databases]
      .filter(({ object, storedBytes }) => sizeOf(object) !== storedBytes)
      .map(({ object }) => object),
  );
  const state = missing.size === 0 ? 'complete' : 'incomplete';
  return { ...place, state, manifest, startLsn, stopLsn, startedAt, finishedAt, missing: [...missing] };
}

/** Every object a manifest refers to. */
export function namesIn(manifest: BackupManifest): ObjectName[] {
  return [...new Set([manifest.shared.object, ...manifest.databases.map(({ object }) => object)])];
}

export function groupPieces(pieces: readonly CataloguedPiece[]): ReadonlyMap<number, readonly CataloguedPiece[]> {
  const groups = Map.groupBy(pieces, ({ timeline }) => timeline);
  for (const group of groups.values()) group.sort((a, b) => compare(a.start, b.start) || compare(a.end, b.end));
  return new Map([...groups].sort(([a], [b]) => a - b));
}

/** What earlier headers said, in the shape of a header. */
function knownFacts(previous: Catalogue | undefined): ReadonlyMap<ObjectName, Readonly<Record<string, unknown>>> {
  const known = new Map<ObjectName, Readonly<Record<string, unknown>>>();
  for (const { madeAt, name } of previous?.dumps ?? []) if (madeAt) known.set(name, { madeAt });
  for (const { pieces } of previous?.clusters.values() ?? [])
    for (const piece of [...pieces.values()].flat()) known.set(piece.name, { ...piece });
  return known;
}

async function tryOpen<T>(open: () => Promise<T | undefined>): Promise<T | undefined | 'gone'> {
  try {
    return (await open()) ?? 'gone';
  } catch (error) {
    if (error instanceof FreeholdError && /^FH_(KEY|BACKUP)_/.test(error.code)) return undefined;
    throw error;
  }
}

async function inParallel(work: readonly (() => Promise<void>)[], lanes: number, signal?: AbortSignal): Promise<void> {
  const rest = work.values();
  const lane = async () => {
    for (const item of rest) {
      signal?.throwIfAborted();
      await item();
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, work.length) }, lane));
}

function lsnOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  try {
    if (typeof value !== 'string') return undefined;
    // Headers of WAL say it as names do.
    return /^[0-9a-f]{16}$/.test(value) ? BigInt(`0x${value}`) : parseLsn(value);
  } catch {
    return undefined;
  }
}

function dateOf(value: unknown): Date | undefined {
  if (value instanceof Date) return value;
  if (typeof value !== 'string') return undefined;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}

function byStart(a: CataloguedBackup, b: CataloguedBackup): number {
  if (!('manifest' in a)) return 'manifest' in b ? 1 : compareText(a.backupId, b.backupId);
  if (!('manifest' in b)) return -1;
  return compare(a.startLsn, b.startLsn) || compareText(a.backupId, b.backupId);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
