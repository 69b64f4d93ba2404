import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { manifestFile, maxManifestBytes, parseManifest } from '../manifest/index.ts';
import type { AppManifest } from '../types.ts';
import { type ArchiveEntry, readArchive, readContent } from './archive.ts';
import { contentInvalid, digestContent } from './entries.ts';

export interface InspectedVersion {
  readonly manifest: AppManifest;
  readonly digest: string;
  readonly entries: readonly ArchiveEntry[];
}

/** Checks everything about what was sent before anything is made of it. FH_APP_CONTENT_INVALID, FH_APP_MANIFEST_INVALID. */
export async function inspectVersion(archivePath: string): Promise<InspectedVersion> {
  const file = await open(archivePath, 'r');
  try {
    const entries = await readArchive(file, (await file.stat()).size);
    const found = entries.find(({ path }) => path === manifestFile);
    if (found?.kind !== 'file') throw contentInvalid(`there is no file ${manifestFile} at its top`);
    // One byte more than is read, so that the parser says that it is too long.
    const length = Math.min(found.sizeBytes, maxManifestBytes + 1);
    const manifest = parseManifest((await file.read(Buffer.alloc(length), 0, length, found.offset)).buffer);
    const hashed: (ArchiveEntry & { sha256: string })[] = [];
    for (const entry of entries) {
      const hash = createHash('sha256');
      for await (const piece of readContent(file, entry)) hash.update(piece);
      hashed.push({ ...entry, sha256: entry.kind === 'file' ? hash.digest('hex') : '' });
    }
    return { manifest, digest: digestContent(hashed), entries };
  } finally {
    await file.close();
  }
}
