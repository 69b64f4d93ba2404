import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freehold } from './self.ts';

/** What the processes need of a checkout, besides the packages that are not for building and testing. */
const parts = ['package.json', 'src', 'apps', 'migrations', 'dist'];

/**
 * The folder that our processes run from: the checkout, or, when other users cannot reach it (a clone below /root), a copy of its runtime
 * part in the data folder. The copy is named by its content and made whole before it gets its name; older ones are removed.
 */
export function placeProgram(dataDir: string, needsReach: boolean): string {
  const root = fileURLToPath(freehold.root);
  if (!needsReach || isReachable(root)) return root;
  const files = [...parts, ...findPackages(root)].flatMap((part) => listFiles(root, part));
  const home = join(dataDir, 'program');
  const place = join(home, digestOf(root, files));
  if (!existsSync(place)) {
    const fresh = `${place}.new`;
    rmSync(fresh, { recursive: true, force: true });
    for (const file of files) copyReadable(join(root, file), join(fresh, file), fresh);
    renameSync(fresh, place);
  }
  openToAll(home);
  for (const name of readdirSync(home))
    if (join(home, name) !== place) rmSync(join(home, name), { recursive: true, force: true });
  return `${place}/`;
}

/** Whether users who own nothing of it can read the checkout: every folder above lets them pass, and our entry may be read. */
function isReachable(root: string): boolean {
  for (let folder = dirname(join(root, 'x')); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === '/') break;
  }
  return ['src/main/cli.ts', 'package.json', 'dist'].every((path) => (statSync(join(root, path)).mode & 0o004) !== 0);
}

/** Packages that the lock file does not mark as only for development. */
function findPackages(root: string): string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(
      ([path, entry]) =>
        path.startsWith('node_modules/') && !entry.dev && !entry.devOptional && existsSync(join(root, path)),
    )
    .map(([path]) => path);
}

function listFiles(root: string, part: string): string[] {
  if (statSync(join(root, part)).isFile()) return [part];
  return readdirSync(join(root, part), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));
}

/** Names, sizes and times: enough to see that a checkout changed, without reading 30 MB at every start. */
function digestOf(root: string, files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of [...new Set(files)].sort()) {
    const { size, mtimeMs } = statSync(join(root, file));
    hash.update(`${file}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

function copyReadable(from: string, to: string, top: string): void {
  const folder = dirname(to);
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true });
    for (let made = folder; made.length >= top.length; made = dirname(made)) openToAll(made);
  }
  copyFileSync(from, to);
  chmodSync(to, 0o644);
}

function openToAll(folder: string): void {
  chmodSync(folder, 0o755);
}
