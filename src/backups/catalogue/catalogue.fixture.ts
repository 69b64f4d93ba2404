import {
  type BackupId,
  type ClusterId,
  formatLsn,
  type Lsn,
  lsnName,
  type TenantId,
  timelineName,
  walSegmentBytes,
} from '#src/kernel/index.ts';
import type { KeyId } from '#src/keys/types.ts';
import type { TimelineStep } from '../shipping/timeline.ts';
import type { BackedUpDatabase, BackupManifest } from '../types.ts';
import { groupPieces, namesIn, toBackup } from './build.ts';
import type { Catalogue, CataloguedPiece, StoredObject, Timeline } from './types.ts';

/** Catalogues for tests, in small numbers: LSNs in quarters of a segment, times in seconds of a day. */
export const clusterId = `clu_${'c'.repeat(26)}` as ClusterId;
export const quarter = walSegmentBytes / 4n;
export const lsn = (quarters: number): Lsn => BigInt(Math.round(quarters * 4)) * (quarter / 4n);
export const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1) + seconds * 1000);
export const tenantId = (letter: string) => `ten_${letter.repeat(26)}` as TenantId;

const padded = (text: string) => text.padEnd(26, '0');
export const backupId = (name: string) => `bak_${padded(name)}` as BackupId;

export interface PlantedBase {
  readonly id: string;
  readonly timeline?: number;
  /** In quarters. */
  readonly start: number;
  readonly stop: number;
  readonly startedAt?: number;
  readonly finishedAt: number;
  readonly storedAt?: number;
  readonly suspect?: boolean;
  readonly databases?: readonly BackedUpDatabase[];
  /** Objects that are not there after all. */
  readonly without?: readonly string[];
}

export interface PlantedPiece {
  readonly timeline?: number;
  readonly start: number;
  readonly end: number;
  readonly kind?: 'wal' | 'segment';
  readonly first?: number;
  readonly last?: number;
  readonly storedAt?: number;
}

export function database(
  name: string,
  oid: number,
  owner: TenantId | undefined,
  more: Partial<BackedUpDatabase> = {},
): BackedUpDatabase {
  const keyId: KeyId = `${owner ?? clusterId}.1`;
  const object = `data/${owner ?? clusterId}/${name}`;
  return {
    oid,
    name,
    tenantId: owner,
    object,
    keyId,
    contentSha256: '',
    sizeBytes: 1,
    storedBytes: 1,
    storedSha256: '',
    ...more,
  };
}

export function manifestOf(base: PlantedBase): BackupManifest {
  const id = backupId(base.id);
  const object = `base/${clusterId}/${id}/shared`;
  return {
    format: 1,
    backupId: id,
    clusterId,
    systemIdentifier: '1',
    serverVersion: '15',
    timeline: base.timeline ?? 1,
    startLsn: formatLsn(lsn(base.start)),
    stopLsn: formatLsn(lsn(base.stop)),
    startedAt: at(base.startedAt ?? base.finishedAt).toISOString(),
    finishedAt: at(base.finishedAt).toISOString(),
    dataChecksums: true,
    fullPageWrites: true,
    shared: { object, keyId: `${clusterId}.1`, sizeBytes: 1, storedBytes: 1, storedSha256: '' },
    databases: base.databases ?? [database('postgres', 5, undefined)],
    suspect: base.suspect ?? false,
  };
}

export function pieceOf(piece: PlantedPiece): CataloguedPiece {
  const { timeline = 1, kind = 'wal', first, last, storedAt = last ?? 0 } = piece;
  const start = lsn(piece.start);
  const folder = kind === 'wal' ? 'wal' : 'segments';
  const name = `${folder}/${clusterId}/${timelineName(timeline)}/${lsnName(kind === 'wal' ? start : start / walSegmentBytes)}`;
  const times = first !== undefined && last !== undefined && { firstCommitAt: at(first), lastCommitAt: at(last) };
  return { kind, name, timeline, start, end: lsn(piece.end), sizeBytes: 1, storedAt: at(storedAt), ...times };
}

export function timelineOf(
  timeline: number,
  ancestors: readonly [timeline: number, quarters: number][],
  storedAt: number,
): Timeline {
  const switches: TimelineStep[] = ancestors.map(([parent, quarters]) => ({
    timeline: parent,
    switchedAt: lsn(quarters),
  }));
  return {
    timeline,
    name: `history/${clusterId}/${timelineName(timeline)}`,
    sizeBytes: 1,
    storedAt: at(storedAt),
    ancestors: switches,
  };
}

export interface Planted {
  readonly bases?: readonly PlantedBase[];
  readonly pieces?: readonly PlantedPiece[];
  readonly timelines?: readonly Timeline[];
}

export function plantCatalogue({ bases = [], pieces = [], timelines = [] }: Planted): Catalogue {
  const data = new Map<string, StoredObject>();
  const backups = bases.map((base) => {
    const manifest = manifestOf(base);
    const storedAt = at(base.storedAt ?? base.finishedAt);
    const stored = (name: string): StoredObject => ({ name, sizeBytes: 1, storedAt });
    const there = namesIn(manifest).filter((name) => !base.without?.includes(name));
    for (const name of there) if (name.startsWith('data/') && !data.has(name)) data.set(name, stored(name));
    const folder = `base/${clusterId}/${manifest.backupId}/`;
    const objects = [`${folder}manifest`, ...there.filter((name) => name.startsWith(folder))].map(stored);
    const place = { backupId: manifest.backupId, clusterId, objects, storedAt };
    return toBackup(place, manifest, (name) => (there.includes(name) ? 1 : undefined));
  });
  const cluster = {
    clusterId,
    backups: backups.sort((a, b) => ('startLsn' in a && 'startLsn' in b ? Number(a.startLsn - b.startLsn) : 0)),
    timelines: new Map(timelines.map((entry) => [entry.timeline, entry])),
    pieces: groupPieces(pieces.map(pieceOf)),
    unreadablePieces: [],
  };
  return {
    region: 'north',
    clusters: new Map([[clusterId, cluster]]),
    data,
    dumps: [],
    files: [],
    others: [],
    strangers: [],
  };
}
