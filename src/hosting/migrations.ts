import { fileURLToPath } from 'node:url';
import type { App } from '#sdk';
import { digestMigrations, readMigrations } from '#src/databases/index.ts';

/** Absolute folder of the app's migrations. */
export function migrationsFolderOf(app: App): string {
  return fileURLToPath(app.migrations);
}

/** Absolute folders by name of the app. */
export function migrationsFolders(apps: readonly App[]): ReadonlyMap<string, string> {
  return new Map(apps.map((app) => [app.manifest.name, migrationsFolderOf(app)]));
}

/** Names the app's set of migrations by its content: a database prepared for one digest fits no other. */
export async function digestOfApp(app: App): Promise<string> {
  return digestMigrations({ app: await readMigrations(app.migrations) });
}
