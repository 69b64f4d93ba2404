import { buffer } from 'node:stream/consumers';
import { isKeyOwner, openObject } from '#src/keys/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { findManifest } from '../base/index.ts';
import { openHistory } from '../shipping/wal-objects.ts';
import type { CatalogueReader } from './build.ts';

/** Opens what a catalogue needs of one region, each object as what its name says and nothing else. */
export function createCatalogueReader(region: RegionStore, { openKey }: Pick<BackupKeys, 'openKey'>): CatalogueReader {
  const findKey = async (keyId: Parameters<typeof openKey>[0]) => (await openKey(keyId)).key;
  return {
    openManifest: (_name, expect) => findManifest(region, expect, openKey),
    async openHistory(name, { clusterId, timeline }) {
      const source = await region.get(name);
      return source && openHistory({ clusterId, findKey }, timeline, await buffer(source));
    },
    async openHeader(name, expect) {
      const source = await region.get(name);
      if (!source) return undefined;
      const owner = expect.cluster ?? expect.tenantId;
      const { header, content } = await openObject(source, {
        expect,
        ...(isKeyOwner(owner) && { owner }),
        findKey,
      });
      // The first chunk has opened, so the header is authentic; of the rest nothing is needed.
      await content.return?.();
      return header;
    },
  };
}
