import { link, open, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { FreeholdError, failpoint, randomName } from '#src/kernel/index.ts';
import { createDiskStore, stagingFolder } from './disk.ts';
import { objectErrors, toStorageError } from './errors.ts';
import { hashStream, measureContent } from './measured-content.ts';
import { isObjectName, requireObjectName, requirePrefix, requireRegionName } from './names.ts';
import type { RegionStore } from './region.ts';
import { regionErrors } from './region-errors.ts';
import { checkMarker, markerContent, markerName } from './region-marker.ts';
import type { ObjectInfo, ObjectStore } from './types.ts';

export interface DiskRegionOptions {
  /** Name of the region, for example `eu_west`. */
  readonly region: string;
  /** The folder; must exist. Permissions of what is written follow its own, see createDiskStore. */
  readonly root: string;
  /** Makes the folder the region when it is empty. Only when the region is set up: later an empty folder is a disk that is not mounted. Default: false. */
  readonly initialise?: boolean;
}

/** What file systems put into an empty folder by themselves. */
const harmless = new Set(['lost+found', stagingFolder]);

/**
 * A region that is a folder, usually the mount of another disk or machine. Nothing is touched before the first call, so that it can be made while the
 * folder is away. Every call looks for the marker first; `put` looks again at the end, so that what went into a bare mount point is an error.
 * Reading back goes through the operating system's cache: it finds what was garbled on the way, not a platter that forgets.
 */
export function createDiskRegion({ region, root: folder, initialise = false }: DiskRegionOptions): RegionStore {
  requireRegionName(region);
  const root = resolve(folder);
  const marker = join(root, markerName);
  let opened: Promise<ObjectStore> | undefined;

  async function requirePresent(): Promise<ObjectStore> {
    const bytes = await readFile(marker).catch(async (error) => {
      if (!isMissing(error)) throw error;
      if (initialise && (await setUp())) return readFile(marker);
      throw regionErrors.FH_REGION_UNAVAILABLE({
        detail: `region ${region}: ${root} is not there, not mounted, or was never set up (no ${markerName})`,
      });
    });
    checkMarker(region, bytes, root);
    opened ??= createDiskStore(root);
    return opened;
  }

  /** @returns whether the empty folder is the region now */
  async function setUp(): Promise<boolean> {
    const found = await readdir(root).catch(ignoreMissing);
    const beginning = `${markerName}.`;
    if (!found?.every((name) => harmless.has(name) || name === markerName || name.startsWith(beginning))) return false;
    const path = join(root, `${beginning}${randomName(13)}`);
    const handle = await open(path, 'wx', (await stat(root)).mode & 0o666);
    try {
      await handle.writeFile(markerContent(region));
      await handle.sync();
      await failpoint('region.marker-written');
      // Another process may be setting it up as well; the same bytes, or checkMarker says so.
      await link(path, marker).catch((error) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
    } finally {
      await handle.close();
      await unlink(path).catch(ignoreMissing);
    }
    const folderHandle = await open(root, 'r');
    await folderHandle.sync().finally(() => folderHandle.close());
    return true;
  }

  async function guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toRegionError(region, error);
    }
  }

  /** In order of names: a folder's name counts with the `/` after it, as it does in the names of the objects below it. */
  async function* walk(folder: string, after: string): AsyncGenerator<ObjectInfo> {
    const entries = (await readdir(join(root, folder), { withFileTypes: true }).catch(ignoreMissing)) ?? [];
    const below = entries
      .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .filter((name) => isObjectName(name.replace(/\/$/, '')))
      .sort(compareBytes);
    for (const name of below) {
      if (name.endsWith('/')) {
        if (name > after || after.startsWith(name)) yield* walk(name, after);
      } else if (name > after) {
        const facts = await stat(join(root, name)).catch(ignoreMissing);
        if (facts) yield { name, sizeBytes: facts.size, createdAt: facts.mtime };
      }
    }
  }

  return {
    region,
    async put(name, content, { signal } = {}) {
      requireObjectName(name);
      const measured = measureContent(content, signal);
      try {
        const store = await requirePresent();
        const staged = await store.stage(measured);
        try {
          const back = await hashStream(await staged.open());
          await failpoint('region.read-back');
          if (back.sha256 !== measured.sha256())
            throw regionErrors.FH_REGION_DAMAGED({ detail: `region ${region}: ${name}` });
          const outcome = await staged.publish(name);
          await requirePresent();
          return { outcome, sizeBytes: measured.sizeBytes, sha256: measured.sha256() };
        } finally {
          await staged.discard();
        }
      } catch (error) {
        throw measured.failure ? measured.failure.error : toRegionError(region, error);
      }
    },
    async get(name, { from = 0, to } = {}) {
      const path = join(root, requireObjectName(name));
      return guard(async () => {
        await requirePresent();
        const handle = await open(path, 'r').catch(ignoreMissing);
        if (!handle) return undefined;
        if (to !== undefined && to <= from) {
          await handle.close();
          return Readable.from([], { objectMode: false });
        }
        const stream = handle.createReadStream({ start: from, ...(to === undefined ? {} : { end: to - 1 }) });
        const content = Readable.from(translateErrors(region, stream), { objectMode: false });
        // Destroyed before its first byte it never gets to the generator, and the file would stay open until it is collected, which is an error.
        return content.once('close', () => stream.destroy());
      });
    },
    async stat(name) {
      const path = join(root, requireObjectName(name));
      return guard(async () => {
        await requirePresent();
        const facts = await stat(path).catch(ignoreMissing);
        return facts?.isFile() ? { name, sizeBytes: facts.size, createdAt: facts.mtime } : undefined;
      });
    },
    async *list(prefix, { after = '' } = {}) {
      requirePrefix(prefix);
      await guard(requirePresent);
      yield* translateErrors(region, walk(prefix, after));
    },
    async remove(name) {
      requireObjectName(name);
      await guard(async () => (await requirePresent()).remove(name));
    },
    removeUnfinished: (before) => guard(async () => (await requirePresent()).removeStaged(before)),
  };
}

/** The disk is gone, or the machine that it is on. */
const away = new Set([
  'EIO',
  'ESTALE',
  'ENODEV',
  'ENXIO',
  'ENOTCONN',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ETIMEDOUT',
  'EAGAIN',
  'EMFILE',
  'ENFILE',
]);
const refused = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

function toRegionError(region: string, error: unknown): unknown {
  const storage = toStorageError(error);
  if (storage instanceof FreeholdError) {
    if (storage.code !== 'FH_STORAGE_FULL') return storage;
    return objectErrors.FH_STORAGE_FULL({
      detail: `region ${region}`,
      hint: 'Free space on the disk of the region.',
      cause: error,
    });
  }
  const code = String(codeOf(error));
  const details = { detail: `region ${region}: ${code}`, cause: error };
  if (away.has(code) || code === 'ENOENT') return regionErrors.FH_REGION_UNAVAILABLE(details);
  if (refused.has(code)) return regionErrors.FH_REGION_REFUSED(details);
  return error;
}

async function* translateErrors<T>(region: string, content: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* content;
  } catch (error) {
    throw toRegionError(region, error);
  }
}

function compareBytes(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
}

function ignoreMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}
