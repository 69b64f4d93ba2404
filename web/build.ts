/**
 * Builds the pages into dist/account, dist/console and dist/desk: `node web/build.ts [--if-changed] [PAGE…]`.
 * Each page is built beside its place and moved there when it is whole, so a running server never serves half a page.
 * With `--if-changed`, a page whose sources, design system, configuration and locked packages are the same is left alone.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { type PageName, pageConfig, pages } from '../vite.config.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const stampName = '.built-from';
/** Older than any build takes. */
const leftoverAgeMs = 600_000;

async function main(args: readonly string[]): Promise<void> {
  const ifChanged = args.includes('--if-changed');
  const unknown = args.filter((arg) => arg !== '--if-changed' && !Object.hasOwn(pages, arg));
  if (unknown.length > 0) {
    process.stderr.write(`Not a page: ${unknown.join(', ')}. Pages are ${Object.keys(pages).join(', ')}.\n`);
    process.exitCode = 2;
    return;
  }
  const wanted = args.filter((arg) => arg !== '--if-changed');
  for (const name of Object.keys(pages) as PageName[]) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    await buildPage(name, ifChanged);
  }
}

async function buildPage(name: PageName, ifChanged: boolean): Promise<void> {
  const source = join(root, pages[name].root);
  if (!existsSync(join(source, 'index.html'))) {
    process.stderr.write(`${name}: ${relative(root, source)} has no index.html, left out\n`);
    return;
  }
  const startedMs = performance.now();
  const stamp = await hashSources([
    source,
    join(root, 'web/design'),
    join(root, 'vite.config.ts'),
    join(root, 'package-lock.json'),
  ]);
  const place = join(dist, name);
  const builtFrom = await readFile(join(place, stampName), 'utf8').catch(() => '');
  if (ifChanged && builtFrom === stamp) return;

  await mkdir(dist, { recursive: true });
  await removeLeftovers(name);
  const fresh = await mkdtemp(join(dist, `.${name}-`));
  try {
    await build(pageConfig(name, fresh));
    await writeFile(join(fresh, stampName), stamp);
    // mkdtemp makes 0700; the servers read the pages as other OS users.
    await chmod(fresh, 0o755);
    await replaceFolder(place, fresh);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
  process.stdout.write(`${name}: built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`);
}

/** SHA-256 over the paths and contents of all files, in a fixed order. */
async function hashSources(places: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const place of places) {
    const entries = await readdir(place, { recursive: true, withFileTypes: true }).catch(() => undefined);
    const files = entries
      ? entries
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
          .sort()
      : [place];
    for (const file of files) {
      hash.update(`${relative(root, file)}\0`);
      hash.update(await readFile(file));
    }
  }
  return hash.digest('hex');
}

/** Folders cannot be exchanged in one step; the gap between the two renames is a few microseconds. Two builds at once: the last one stays. */
async function replaceFolder(place: string, fresh: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const old = `${fresh}.old${attempt}`;
    await rename(place, old).catch(ignore('ENOENT'));
    try {
      await rename(fresh, place);
      return;
    } catch (error) {
      // Another build was faster in the gap.
      if (attempt === 5 || !isCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    } finally {
      await rm(old, { recursive: true, force: true });
    }
  }
}

/** What a build that was killed has left. */
async function removeLeftovers(name: PageName): Promise<void> {
  for (const entry of await readdir(dist).catch(() => [])) {
    if (!entry.startsWith(`.${name}-`)) continue;
    const path = join(dist, entry);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (mtimeMs < Date.now() - leftoverAgeMs) await rm(path, { recursive: true, force: true });
  }
}

function ignore(code: string) {
  return (error: unknown) => {
    if (!isCode(error, code)) throw error;
  };
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`The pages could not be built. ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
