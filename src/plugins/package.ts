import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { extract, pack } from 'tar-stream';
import { pluginErrors } from './errors.ts';
import { parsePluginManifest, pluginManifestFile } from './manifest.ts';
import { isPackagePath } from './paths.ts';
import type { PluginManifest } from './types.ts';

/** Everything in it together, and as it is sent. */
export const maxPluginBytes = 8 * 2 ** 20;
const maxFiles = 2_000;
/** What the headers of so many files add. */
const maxArchiveBytes = 2 * maxPluginBytes;

export interface PluginPackage {
  readonly manifest: PluginManifest;
  /** SHA-256 of `content`, hex. */
  readonly digest: string;
  /** A tar made here, in one form for one content: nothing of what a sender's archive may hide is in it. */
  readonly content: Buffer;
}

/** Reads a folder, or a .tgz or .tar, for sending. FH_PLUGIN_INVALID. */
export async function readPluginSource(path: string): Promise<Buffer> {
  const found = await lstat(path).catch((cause) => {
    throw invalid(`${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`);
  });
  if (found.isFile()) {
    if (found.size > maxArchiveBytes) throw tooLarge();
    return readFile(path);
  }
  const files = new Map<string, Buffer>();
  let bytes = 0;
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const name = file.slice(path.replace(/\/+$/, '').length + 1);
    if (/^\.git(?:\/|$)/.test(name) || entry.isDirectory()) continue;
    if (!entry.isFile()) throw invalid(`"${name}" is neither a file nor a folder`);
    bytes += (await lstat(file)).size;
    if (bytes > maxPluginBytes || files.size >= maxFiles) throw tooLarge();
    files.set(name, await readFile(file));
  }
  return (await canonical(files)).content;
}

/** What was sent, judged and written anew. FH_PLUGIN_INVALID. */
export async function parsePluginPackage(sent: Buffer): Promise<PluginPackage> {
  const files = await readArchive(isGzip(sent) ? unzip(sent) : sent);
  return canonical(files);
}

async function canonical(files: ReadonlyMap<string, Buffer>): Promise<PluginPackage> {
  const manifestBytes = files.get(pluginManifestFile);
  if (!manifestBytes) throw invalid(`there is no ${pluginManifestFile} at its top`);
  const names = [...files.keys()].sort();
  for (const [index, name] of names.entries()) {
    if (!isPackagePath(name)) throw invalid(`"${name}": use letters, digits, @, _, +, . and - in at most 16 levels`);
    if (names[index + 1]?.startsWith(`${name}/`)) throw invalid(`"${name}" is a file and a folder`);
  }
  const manifest = parsePluginManifest(manifestBytes);
  if (!files.has(manifest.entry))
    throw invalid(`${pluginManifestFile}: entry names ${manifest.entry}, which is not there`);
  const archive = pack();
  for (const name of names) archive.entry({ name, mode: 0o644, mtime: new Date(0) }, files.get(name)!);
  archive.finalize();
  const content = await buffer(archive);
  return { manifest, content, digest: createHash('sha256').update(content).digest('hex') };
}

async function readArchive(archive: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  let bytes = 0;
  const reader = Readable.from([archive]).pipe(extract());
  try {
    for await (const entry of reader) {
      const { name, type, size = 0 } = entry.header;
      if (type === 'directory') {
        entry.resume();
        continue;
      }
      if (type !== 'file' && type !== 'contiguous-file') throw invalid(`"${name}" is neither a file nor a folder`);
      bytes += size;
      if (bytes > maxPluginBytes || files.size >= maxFiles) throw tooLarge();
      const path = name.replace(/^\.\//, '');
      if (files.has(path)) throw invalid(`"${path}" is there twice`);
      files.set(path, await buffer(entry));
    }
  } catch (error) {
    if ((error as { code?: unknown }).code === 'FH_PLUGIN_INVALID') throw error;
    throw invalid(`it is no tar archive: ${(error as Error).message}`);
  } finally {
    reader.destroy();
  }
  return files;
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function unzip(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxArchiveBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw invalid('it is no .tgz that can be unpacked');
  }
}

const invalid = (detail: string) => pluginErrors.FH_PLUGIN_INVALID({ detail });
const tooLarge = () => invalid(`it has more than ${maxPluginBytes / 2 ** 20} MiB or ${maxFiles} files`);
