import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failpoint, randomName } from '#src/kernel/index.ts';
import { toStorageError } from '#src/objects/index.ts';
import { type ArchiveEntry, readArchive, readContent } from './archive.ts';
import { contentInvalid } from './entries.ts';

const writers = 16;

/**
 * Lays an archive out as `folder`, whole or not at all: under another name first, durable, then renamed. Folders and files get mode 755 or 644 and belong to who
 * calls. Nothing is written through a link, because links come last. What a killed attempt left beside it is removed; one folder is unpacked once at a time.
 * FH_APP_CONTENT_INVALID; refused when `folder` is there already.
 */
export async function unpackVersion(archivePath: string, folder: string): Promise<void> {
  const parent = dirname(folder);
  const beginning = `${basename(folder)}.part-`;
  for (const name of await readdir(parent))
    if (name.startsWith(beginning)) await rm(join(parent, name), { recursive: true, force: true });
  if (await lstat(folder).catch(() => undefined)) throw new Error(`${folder} is there already`);

  const part = join(parent, `${beginning}${randomName(12)}`);
  const file = await open(archivePath, 'r');
  try {
    const entries = await readArchive(file, (await file.stat()).size);
    await makeFolder(part);
    for (const { kind, path } of entries) if (kind === 'folder') await makeFolder(join(part, path));
    await writeFiles(file, entries, part);
    for (const { kind, path, target } of entries) if (kind === 'link') await symlink(target, join(part, path));
    // The names in each folder, from the deepest to the top.
    for (const { kind, path } of entries.toReversed()) if (kind === 'folder') await syncFolder(join(part, path));
    await syncFolder(part);
    await failpoint('releases.unpack.written');
    await rename(part, folder);
    await failpoint('releases.unpack.renamed');
    await syncFolder(parent);
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    throw toStorageError(error);
  } finally {
    await file.close();
  }
}

/** With its mode whatever the umask is. */
async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  await folder.chmod(0o755).finally(() => folder.close());
}

/** Each is waited for until it is on the disk, which takes several at once for the price of one. */
async function writeFiles(archive: FileHandle, entries: readonly ArchiveEntry[], folder: string): Promise<void> {
  // Shared: the writer that fails ends it for all.
  const files = entries.values().filter(({ kind }) => kind === 'file');
  const written = Array.from({ length: writers }, async () => {
    for (const entry of files) await writeEntry(archive, entry, join(folder, entry.path));
  });
  for (const result of await Promise.allSettled(written)) if (result.status === 'rejected') throw result.reason;
}

async function writeEntry(archive: FileHandle, entry: ArchiveEntry, path: string): Promise<void> {
  const output = await open(path, 'wx', 0o600);
  try {
    for await (const piece of readContent(archive, entry)) await output.writeFile(piece);
    if ((await output.stat()).size !== entry.sizeBytes) throw contentInvalid('the archive is cut short');
    await output.chmod(entry.isExecutable ? 0o755 : 0o644);
    await output.sync();
  } finally {
    await output.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}
