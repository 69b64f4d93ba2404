import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Header, type Pack, pack } from 'tar-stream';
import type { FolderEntry } from './types.ts';

/** A tar of the entries in their order. It ends only after every content was read to its end. */
export async function* writeFolderTar(
  entries: readonly FolderEntry[],
  open: (sha256: string) => AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  const tar = pack();
  let failure: unknown;
  const filling = fill(tar, entries, open).catch((error) => {
    failure = error;
    tar.destroy(error);
  });
  try {
    yield* tar as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw failure ?? error;
  } finally {
    tar.destroy();
    await filling;
  }
}

async function fill(
  tar: Pack,
  entries: readonly FolderEntry[],
  open: (sha256: string) => AsyncIterable<Uint8Array>,
): Promise<void> {
  for (const entry of entries) {
    const { path: name, mtime } = entry;
    // tar-stream takes no permissions at all for none given, and cuts the kind of file off.
    const mode = entry.mode | 0o100000;
    if (entry.kind === 'folder') await add(tar, { name: `${name}/`, mode, mtime, type: 'directory' });
    else if (entry.kind === 'link') await add(tar, { name, mode, mtime, type: 'symlink', linkname: entry.target });
    else await add(tar, { name, mode, mtime, type: 'file', size: entry.sizeBytes }, open(entry.sha256));
  }
  tar.finalize();
}

async function add(
  tar: Pack,
  header: Partial<Header> & Pick<Header, 'name'>,
  content?: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (content) await pipeline(Readable.from(content), tar.entry(header) as unknown as NodeJS.WritableStream);
  else await new Promise<void>((resolve, reject) => tar.entry(header, (error) => (error ? reject(error) : resolve())));
}
