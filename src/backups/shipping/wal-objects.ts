import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { type ClusterId, type Lsn, lsnName, timelineName, walSegmentBytes } from '#src/kernel/index.ts';
import { openObjectBytes, sealObjectBytes } from '#src/keys/index.ts';
import type { BackupKey, KeyId } from '#src/keys/types.ts';

/** A stretch of WAL of one timeline; `end` is exclusive. */
export interface WalRange {
  readonly timeline: number;
  readonly start: Lsn;
  readonly end: Lsn;
}

/** The very key; undefined: there is none. */
export type FindKey = (keyId: KeyId) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** Whose WAL it is, and what opens it. */
export interface WalOwner {
  readonly clusterId: ClusterId;
  readonly findKey: FindKey;
}

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export const chunkFolder = (clusterId: ClusterId) => `wal/${clusterId}/`;
export const segmentFolder = (clusterId: ClusterId) => `segments/${clusterId}/`;
export const historyFolder = (clusterId: ClusterId) => `history/${clusterId}/`;
export const chunksOf = (clusterId: ClusterId, timeline: number) =>
  `${chunkFolder(clusterId)}${timelineName(timeline)}/`;
export const segmentsOf = (clusterId: ClusterId, timeline: number) =>
  `${segmentFolder(clusterId)}${timelineName(timeline)}/`;

export const chunkName = (clusterId: ClusterId, { timeline, start }: Pick<WalRange, 'timeline' | 'start'>) =>
  chunksOf(clusterId, timeline) + lsnName(start);
/** The segment that holds `lsn`. */
export const segmentName = (clusterId: ClusterId, timeline: number, lsn: Lsn) =>
  segmentsOf(clusterId, timeline) + lsnName(lsn / walSegmentBytes);
export const historyName = (clusterId: ClusterId, timeline: number) =>
  historyFolder(clusterId) + timelineName(timeline);

/** `…/<tli>/<16 digits>` → both numbers; undefined: not a name of that shape. The number is an LSN (chunks) or a segment number. */
export function parseWalName(name: string): { readonly timeline: number; readonly number: bigint } | undefined {
  const match = /\/([0-9a-f]{8})\/([0-9a-f]{16})$/.exec(name);
  return match ? { timeline: Number.parseInt(match[1]!, 16), number: BigInt(`0x${match[2]}`) } : undefined;
}

/** Compresses and seals a stretch of WAL. The header says which; a segment is a stretch of exactly one segment. */
export async function sealWal(
  kind: 'wal' | 'segment',
  { clusterId, key }: { readonly clusterId: ClusterId; readonly key: BackupKey },
  { timeline, start, end }: WalRange,
  data: Uint8Array,
): Promise<Buffer> {
  if (BigInt(data.byteLength) !== end - start)
    throw new Error(`${data.byteLength} bytes of WAL are not ${end - start}`);
  const header = {
    kind,
    keyId: key.keyId,
    cluster: clusterId,
    timeline,
    start: lsnName(start),
    end: lsnName(end),
    compression: 'zstd',
  };
  return sealObjectBytes(key.key, header, await compress(data));
}

/** Opens what `sealWal` made for this place; throws FH_KEY_UNSEAL on anything else. */
export async function openWal(
  kind: 'wal' | 'segment',
  { clusterId, findKey }: WalOwner,
  { timeline, start }: Pick<WalRange, 'timeline' | 'start'>,
  sealed: Uint8Array,
): Promise<WalRange & { readonly data: Buffer }> {
  const expect = { kind, cluster: clusterId, timeline, start: lsnName(start), compression: 'zstd' };
  const { header, content } = await openObjectBytes(sealed, { expect, owner: clusterId, findKey });
  const data = await decompress(content, { maxOutputLength: Number(walSegmentBytes) });
  const end = start + BigInt(data.length);
  if (header.end !== lsnName(end)) throw new Error(`the sealed WAL at ${lsnName(start)} does not have its own length`);
  return { timeline, start, end, data };
}

export function sealHistory(
  { clusterId, key }: { readonly clusterId: ClusterId; readonly key: BackupKey },
  timeline: number,
  content: Uint8Array,
): Promise<Buffer> {
  return sealObjectBytes(key.key, { kind: 'history', keyId: key.keyId, cluster: clusterId, timeline }, content);
}

export async function openHistory(owner: WalOwner, timeline: number, sealed: Uint8Array): Promise<Buffer> {
  const expect = { kind: 'history', cluster: owner.clusterId, timeline } as const;
  return (await openObjectBytes(sealed, { expect, owner: owner.clusterId, findKey: owner.findKey })).content;
}
