import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { FreeholdError } from '#src/kernel/index.ts';
import { filesErrors } from '../errors.ts';
import { parsePath } from './paths.ts';
import type { FolderEntry, FolderLimits } from './types.ts';

const blockBytes = 512;
/** Headers, long names and padding of one entry. */
const besidesBytes = 8_192;
const mostEntries = 100_000;
/** What a tar and a 32-bit `time_t` both hold. */
const latestSeconds = 2 ** 31 - 1;

type Bytes = AsyncIterable<Uint8Array>;
/** Not in the package's types: where the content begins. */
type PlacedHeaders = Header & { readonly byteOffset: number };

/**
 * What a tar of a folder holds, checked entry by entry; each content is given to `put` on the way. Nothing is written by name here, so a link in the tar leads
 * nowhere; but what is laid out from this will be, so nothing may lie below what is not a folder.
 * @param put stores a content. @returns a promise of its SHA-256, which may be settled later
 */
export async function readFolderTar(
  tar: Bytes,
  { maxBytes, maxEntries = mostEntries }: FolderLimits,
  put: (content: Bytes, sizeBytes: number) => Promise<() => Promise<string>>,
): Promise<FolderEntry[]> {
  const found = new Map<string, FolderEntry | PromisedFile>();
  const unpack = extract();
  const source = watchEnd(tar, maxBytes + maxEntries * besidesBytes);
  let [bytes, end, ours, cut] = [0, 0, undefined as unknown, undefined as unknown];
  const feeding = pipeline(Readable.from(source.content), unpack).catch((error) => error);
  try {
    for await (const entry of unpack) {
      const header = entry.header as PlacedHeaders;
      const path = parsePath(header.name, 'directory' === header.type);
      const isFile = header.type === 'file' || header.type === 'contiguous-file';
      end = header.byteOffset + (isFile ? Math.ceil((header.size ?? 0) / blockBytes) * blockBytes : 0);
      const made = path === undefined ? undefined : toEntry(path, header, found);
      if (made) {
        if (found.has(made.path)) throw invalid(`${quote(made.path)} is in it twice`);
        if ('sizeBytes' in made) bytes += made.sizeBytes;
        if (bytes > maxBytes)
          throw filesErrors.FH_FOLDER_TOO_LARGE({ detail: `its files may have ${maxBytes} bytes together` });
        if (found.size >= maxEntries)
          throw filesErrors.FH_FOLDER_TOO_LARGE({ detail: `it may have ${maxEntries} entries` });
        if (isFile && 'content' in made) {
          made.content = await put(
            watchFailure(entry as Bytes, (error) => (cut ??= error)),
            made.sizeBytes,
          ).catch((error) => {
            ours = error;
            throw error;
          });
        }
        found.set(made.path, made);
      }
      entry.resume();
    }
    const failure = await feeding;
    if (failure) throw failure;
  } catch (error) {
    unpack.destroy();
    const failure = await feeding;
    if (error instanceof FreeholdError) throw error;
    // Of who gives, of who stores; what is left is the tar itself.
    if (source.failure() !== undefined) throw source.failure();
    if (ours !== undefined && cut === undefined) throw ours;
    throw failure instanceof FreeholdError ? failure : invalid(textOf(cut ?? error));
  }
  if (!source.endsAfter(end)) throw invalid('it is cut off');
  const entries: FolderEntry[] = [];
  for (const each of withParents(found, maxEntries)) {
    if (!('content' in each)) entries.push(each);
    else {
      const { content, ...file } = each;
      entries.push({ ...file, sha256: await content() });
    }
  }
  return entries;
}

interface PromisedFile {
  readonly path: string;
  readonly mode: number;
  readonly mtime: Date;
  readonly kind: 'file';
  readonly sizeBytes: number;
  content: () => Promise<string>;
}

function toEntry(
  path: string,
  header: PlacedHeaders,
  found: ReadonlyMap<string, FolderEntry | PromisedFile>,
): FolderEntry | PromisedFile | undefined {
  const facts = { path, mode: (header.mode ?? 0) & 0o777, mtime: parseTime(header.mtime) };
  switch (header.type) {
    case 'directory':
      return { ...facts, kind: 'folder' };
    case 'symlink':
      return { ...facts, kind: 'link', target: parseTarget(path, header.linkname) };
    case 'link': {
      // A second name of a file that came before: the same content.
      const target = found.get(parsePath(header.linkname ?? '', false) ?? '');
      if (target?.kind !== 'file') throw invalid(`${quote(path)} is a link to no file that came before`);
      return { ...target, path };
    }
    case 'file':
    case 'contiguous-file':
      if (Object.keys(header.pax ?? {}).some((key) => key.startsWith('GNU.sparse')))
        throw invalid(`${quote(path)} is sparse`);
      return { ...facts, kind: 'file', sizeBytes: header.size ?? 0, content: async () => '' };
    case 'fifo':
      return undefined;
    default:
      throw invalid(`${quote(path)} is neither file nor folder nor link`);
  }
}

/** Every folder above is there; what is not in the tar is made. */
function withParents(found: Map<string, FolderEntry | PromisedFile>, maxEntries: number) {
  for (const { path } of [...found.values()]) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const parent = path.slice(0, at);
      const above = found.get(parent);
      if (above && above.kind !== 'folder') throw invalid(`${quote(path)} lies below what is no folder`);
      if (above) break;
      found.set(parent, { path: parent, mode: 0o755, mtime: new Date(0), kind: 'folder' });
      if (found.size > maxEntries)
        throw filesErrors.FH_FOLDER_TOO_LARGE({ detail: `it may have ${maxEntries} entries` });
    }
  }
  return found.values();
}

function parseTarget(path: string, target: string | null | undefined): string {
  if (!target || Buffer.byteLength(target) > 4_095 || /[\0\ufffd]/.test(target))
    throw invalid(`the target of ${quote(path)} cannot be kept`);
  return target;
}

function parseTime(time: Date | undefined): Date {
  const seconds = Math.trunc((time?.getTime() ?? 0) / 1_000);
  return new Date(Math.min(Math.max(seconds || 0, 0), latestSeconds) * 1_000);
}

async function* watchFailure(content: Bytes, failed: (error: unknown) => void): Bytes {
  try {
    yield* content;
  } catch (error) {
    failed(error);
    throw error;
  }
}

/** Counts what passes, and how many zeros are last: the parser takes a tar that was cut off between two entries for a whole one. */
function watchEnd(tar: Bytes, maxBytes: number) {
  let [total, zeros, failure, isTaken] = [0, 0, undefined as unknown, true];
  async function* content() {
    try {
      for await (const chunk of tar) {
        total += chunk.byteLength;
        let last = chunk.byteLength;
        while (last > 0 && chunk[last - 1] === 0) last--;
        zeros = last === 0 ? zeros + chunk.byteLength : chunk.byteLength - last;
        if (total > maxBytes)
          throw filesErrors.FH_FOLDER_TOO_LARGE({ detail: 'its tar is larger than any such folder' });
        isTaken = false;
        yield chunk;
        isTaken = true;
      }
    } catch (error) {
      // What the parser refuses comes back to where it was given.
      if (isTaken) failure = error;
      throw error;
    }
  }
  return {
    content: content(),
    failure: () => failure,
    /** Two blocks of zeros end a tar (POSIX.1-2017, pax, "ustar Interchange Format"). */
    endsAfter: (offset: number) => total - offset >= 2 * blockBytes && zeros >= total - offset,
  };
}

const quote = (path: string) => JSON.stringify(path.slice(0, 200));
const textOf = (error: unknown) => (error instanceof Error ? error.message : 'it cannot be read');

function invalid(detail: string) {
  return filesErrors.FH_FOLDER_INVALID({ detail });
}
