import { constants } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { checkManifest, manifestFile, maxManifestBytes, showProblem } from '../manifest/index.ts';
import type { AppManifest } from '../types.ts';
import {
  type ContentEntry,
  contentInvalid,
  findPathProblem,
  findTreeProblems,
  maxArchiveBytes,
  maxEntries,
  show,
} from './entries.ts';

export interface CheckedFolder {
  /** undefined when something is wrong. */
  readonly manifest: AppManifest | undefined;
  readonly entries: readonly ContentEntry[];
  readonly contentBytes: number;
  /** Everything that is wrong, one line each: of the manifest with line and column, then of the files. */
  readonly problems: readonly string[];
}

/**
 * What a folder has to send: all but `.git`, and `node_modules` when the version is built where it is added. Whatever cannot travel is named: links that
 * lead out, sockets, devices, setuid bits, names that are no UTF-8.
 */
export async function checkFolder(folder: string): Promise<CheckedFolder> {
  const { manifest, problems } = await readFolderManifest(folder);
  const skipped = new Set(['.git', ...(manifest?.build === undefined ? [] : ['node_modules'])]);
  const entries: ContentEntry[] = [];
  const found = [...problems];
  await walk(folder, '', skipped, entries, found);
  const contentBytes = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (contentBytes > maxArchiveBytes)
    found.push(`the folder holds ${contentBytes} bytes; at most ${maxArchiveBytes} are sent${hintAtModules(manifest)}`);
  if (found.length === problems.length) found.push(...findTreeProblems(entries));
  return { manifest: found.length === 0 ? manifest : undefined, entries, contentBytes, problems: found };
}

function hintAtModules(manifest: AppManifest | undefined): string {
  return manifest?.build === undefined ? '; with a "build" that installs them, node_modules stay at home' : '';
}

async function readFolderManifest(folder: string): Promise<{ manifest: AppManifest | undefined; problems: string[] }> {
  const path = join(folder, manifestFile);
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error) => {
    throw contentInvalid(`${path} cannot be read (${error.code})`, error);
  });
  try {
    if (!(await file.stat()).isFile()) throw contentInvalid(`${path} is not a file`);
    const buffer = Buffer.alloc(maxManifestBytes + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const { manifest, problems } = checkManifest(buffer.subarray(0, bytesRead));
    return { manifest, problems: problems.map(showProblem) };
  } finally {
    await file.close();
  }
}

/** By name, so that the order is the same wherever the folder lies. */
async function walk(
  folder: string,
  below: string,
  skipped: ReadonlySet<string>,
  entries: ContentEntry[],
  problems: string[],
): Promise<void> {
  // As bytes: a name that is no UTF-8 is found, and not met by another that it is shown as.
  const names = (await readdir(join(folder, below), { encoding: 'buffer' })).sort(Buffer.compare);
  for (const raw of names) {
    const name = raw.toString();
    if (skipped.has(name)) continue;
    const path = below === '' ? name : `${below}/${name}`;
    const problem = findPathProblem(path);
    if (problem) {
      problems.push(`${show(path)}: ${problem}`);
      continue;
    }
    if (entries.length >= maxEntries) {
      problems.push(`there are more than ${maxEntries} files and folders`);
      return;
    }
    const stat = await lstat(join(folder, path));
    const entry = { path, isExecutable: false, sizeBytes: 0, target: '' };
    if (stat.isDirectory()) {
      entries.push({ ...entry, kind: 'folder' });
      await walk(folder, path, skipped, entries, problems);
      if (entries.length >= maxEntries) return;
    } else if (stat.isSymbolicLink()) {
      entries.push({ ...entry, kind: 'link', target: await readlink(join(folder, path)) });
    } else if (!stat.isFile()) {
      problems.push(`${show(path)} is neither a file, a folder nor a symbolic link`);
    } else if (stat.mode & 0o6000) {
      problems.push(`${show(path)} has a setuid or setgid bit; take it away with: chmod ug-s`);
    } else {
      entries.push({ ...entry, kind: 'file', isExecutable: (stat.mode & 0o100) !== 0, sizeBytes: stat.size });
    }
  }
}

/** Smaller files are read at once. */
const wholeBytes = 1024 * 1024;
const types = { file: 'file', folder: 'directory', link: 'symlink' } as const;

/** The folder as tar, the same bytes for the same content. Fails when a file changes meanwhile. @param onSent bytes of content so far */
export function packFolder(
  folder: string,
  entries: readonly ContentEntry[],
  onSent: (sentBytes: number) => void = () => {},
): Readable {
  const archive = pack();
  const write = async (): Promise<void> => {
    let sent = 0;
    for (const { path, kind, isExecutable, sizeBytes: size, target } of entries) {
      const type = types[kind];
      const mode = kind === 'file' && !isExecutable ? 0o644 : 0o755;
      const header = {
        name: path,
        type,
        mode,
        size,
        mtime: new Date(0),
        uid: 0,
        gid: 0,
        ...(target && { linkname: target }),
      };
      if (kind !== 'file') {
        archive.entry(header);
        continue;
      }
      const file = await open(join(folder, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        if ((await file.stat()).size !== size) throw contentInvalid(`${show(path)} changed while it was sent`);
        if (size <= wholeBytes) await writeWhole(archive, header, await file.readFile());
        else await pipeline(file.createReadStream({ autoClose: false }), archive.entry(header));
      } finally {
        await file.close();
      }
      sent += size;
      onSent(sent);
    }
    archive.finalize();
  };
  write().catch((error) => archive.destroy(error));
  return Readable.from(archive, { objectMode: false });
}

/** Resolves when there is room for more. */
function writeWhole(
  archive: Pack,
  header: Parameters<Pack['entry']>[0] & { readonly size: number },
  content: Buffer,
): Promise<void> {
  if (content.length !== header.size) throw contentInvalid(`${show(header.name)} changed while it was sent`);
  return new Promise((resolve, reject) => {
    archive.entry(header, content, (error) => (error ? reject(error) : resolve()));
  });
}
