import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { App } from '#sdk';

/** Absolute folder of the app's migrations. */
export function migrationsFolderOf(app: App): string {
  return fileURLToPath(app.migrations);
}

/** Absolute folders by name of the app. */
export function migrationsFolders(apps: readonly App[]): ReadonlyMap<string, string> {
  return new Map(apps.map((app) => [app.manifest.name, migrationsFolderOf(app)]));
}

/** SHA-256 over name and content of every migration, hex: a database prepared for one digest fits no other. */
export async function digestOfApp(app: App): Promise<string> {
  const folder = migrationsFolderOf(app);
  const hash = createHash('sha256').update(`${app.manifest.name}\0`);
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()) {
    const content = createHash('sha256')
      .update(await readFile(join(folder, file)))
      .digest('hex');
    hash.update(`${file}\0${content}\0`);
  }
  return hash.digest('hex');
}
