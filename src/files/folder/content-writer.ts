import { hash } from 'node:crypto';
import type { TenantId } from '#src/kernel/index.ts';
import { sealStream } from '#src/keys/index.ts';
import type { ObjectName, ObjectStore } from '#src/objects/index.ts';
import { measure } from '../content.ts';
import { objectNameOf } from '../names.ts';
import { sealContextOf } from '../tenant-files.ts';

/** What is not larger is hashed in memory, and written only when it is new. */
const smallBytes = 1024 * 1024;
/** Small contents that are written while the next are read. */
const atOnce = 8;

/** Puts the contents of a folder into the tenant's vault, each once. What no row comes to refer to, the sweep removes. */
export function createContentWriter({
  store,
  tenantId,
  key,
  isKnown,
}: {
  readonly store: ObjectStore;
  readonly tenantId: TenantId;
  readonly key: Uint8Array;
  /** A row refers to it: it is there. */
  readonly isKnown: (sha256: string) => boolean;
}) {
  const published = new Map<string, Promise<void>>();
  const running = new Set<Promise<void>>();
  const names: ObjectName[] = [];

  async function write(content: AsyncIterable<Uint8Array>, sha256Of: () => string): Promise<void> {
    const staged = await store.stage(sealStream(key, sealContextOf(tenantId))(content));
    try {
      const name = objectNameOf(tenantId, key, sha256Of());
      if ((await staged.publish(name)) !== 'exists') names.push(name);
    } finally {
      await staged.discard();
    }
  }

  async function writeSmall(bytes: Uint8Array, sha256: string): Promise<void> {
    if (await store.has(objectNameOf(tenantId, key, sha256))) return;
    await write(
      (async function* () {
        yield bytes;
      })(),
      () => sha256,
    );
  }

  return {
    /** Reads the content to its end. @returns waits until it is in the vault */
    async put(content: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<() => Promise<string>> {
      if (sizeBytes > smallBytes) {
        const measured = measure(content, sizeBytes);
        await write(measured.content, () => measured.result().sha256);
        const { sha256 } = measured.result();
        return async () => sha256;
      }
      const parts: Uint8Array[] = [];
      for await (const part of content) parts.push(part);
      const bytes = Buffer.concat(parts);
      const sha256 = hash('sha256', bytes, 'hex');
      if (isKnown(sha256)) return async () => sha256;
      let writing = published.get(sha256);
      if (!writing) {
        while (running.size >= atOnce) await Promise.race(running);
        writing = writeSmall(bytes, sha256);
        published.set(sha256, writing);
        const ended = writing.then(
          () => {},
          () => {},
        );
        running.add(ended);
        void ended.then(() => running.delete(ended));
      }
      const done = writing;
      return async () => {
        await done;
        return sha256;
      };
    },
    /** Nothing is being written any more. */
    settled: async () => void (await Promise.all(running)),
    /** Those that were not in the vault before. */
    published: () => names,
  };
}
