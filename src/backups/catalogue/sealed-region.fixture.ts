/** A region on a disk with real sealed objects, as shipper and backups write them; times as they are planted. */
import { mkdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn, lsnName, timelineName } from '#src/kernel/index.ts';
import { sealObjectBytes } from '#src/keys/index.ts';
import type { BackupKey, BackupKeys } from '#src/keys/types.ts';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import { sealManifest } from '../base/manifest.ts';
import { sealHistory, sealWal } from '../shipping/wal-objects.ts';
import { namesIn } from './build.ts';
import { clusterId, manifestOf, type PlantedBase, type PlantedPiece, pieceOf } from './catalogue.fixture.ts';

export const key: BackupKey = { keyId: `${clusterId}.1`, key: Buffer.alloc(32, 7) };
export const keys: Pick<BackupKeys, 'openKey'> = { openKey: async () => key };

export async function openSealedRegion(root: string) {
  await mkdir(root, { recursive: true });
  const region: RegionStore = createDiskRegion({ region: 'north', root, initialise: true });
  async function put(name: string, content: Uint8Array, storedAt: Date): Promise<void> {
    await region.put(name, content);
    await utimes(join(root, name), storedAt, storedAt);
  }
  return {
    region,
    put,
    async putBase(base: PlantedBase, storedAt: Date): Promise<void> {
      const manifest = manifestOf(base);
      for (const name of namesIn(manifest))
        if (!base.without?.includes(name) && !(await region.stat(name))) await put(name, Buffer.of(1), storedAt);
      await put(`base/${clusterId}/${manifest.backupId}/manifest`, await sealManifest(manifest, key), storedAt);
    },
    async putPiece(piece: PlantedPiece, storedAt: Date): Promise<void> {
      const { name, kind, timeline, start, end } = pieceOf(piece);
      const sealed = await sealWal(
        kind,
        { clusterId, key },
        { timeline, start, end },
        Buffer.alloc(Number(end - start)),
      );
      await put(name, sealed, storedAt);
    },
    /** As a shipper writes it that reads commit records. */
    async putTimedChunk(
      { first, last, ...piece }: Omit<PlantedPiece, 'first' | 'last'> & { first: Date; last: Date },
      storedAt: Date,
    ): Promise<void> {
      const { name, timeline, start, end } = pieceOf(piece);
      const times = { firstCommitAt: first.toISOString(), lastCommitAt: last.toISOString() };
      const header = {
        kind: 'wal',
        keyId: key.keyId,
        cluster: clusterId,
        timeline,
        start: lsnName(start),
        end: lsnName(end),
        ...times,
      } as const;
      await put(name, await sealObjectBytes(key.key, header, Buffer.of(1)), storedAt);
    },
    async putHistory(timeline: number, parent: number, switchedAt: bigint, storedAt: Date): Promise<void> {
      const text = `${parent}\t${formatLsn(switchedAt)}\tno recovery target specified\n`;
      await put(
        `history/${clusterId}/${timelineName(timeline)}`,
        await sealHistory({ clusterId, key }, timeline, Buffer.from(text)),
        storedAt,
      );
    },
  };
}
