import type { App } from '#sdk';
import { type DatabaseKind, type MigrationFile, type MigrationFolders, readMigrations } from '#src/databases/index.ts';
import { migrationsFolderOf, parseApp } from '#src/hosting/index.ts';
import { loadPage, type Page } from '#src/http/index.ts';
import { apps } from './apps.ts';
import { freehold } from './self.ts';
import { readVersion } from './version.ts';

/** Our own files, in memory: read before a process gives up root, because its own user may not reach the checkout (a clone below /root). */
export interface Program {
  readonly version: string;
  readonly apps: readonly App[];
  readonly controlMigrations: readonly MigrationFile[];
  readonly platformMigrations: readonly MigrationFile[];
  readonly appMigrations: ReadonlyMap<string, readonly MigrationFile[]>;
}

export async function loadProgram(): Promise<Program> {
  for (const app of apps) parseApp(app);
  const appMigrations = new Map<string, readonly MigrationFile[]>();
  for (const app of apps) appMigrations.set(app.manifest.name, await readMigrations(migrationsFolderOf(app)));
  return {
    version: readVersion(),
    apps,
    controlMigrations: await readMigrations(new URL('migrations/control/', freehold.root)),
    platformMigrations: await readMigrations(new URL('migrations/tenant/', freehold.root)),
    appMigrations,
  };
}

/** How apps keep their data: those that are no part of the program run as processes, and make their schemas themselves (decision 0038). */
export function keepingOf({ platformMigrations, appMigrations }: Program) {
  return {
    kindOf: (app: string): DatabaseKind => (appMigrations.has(app) ? 'sdk' : 'process'),
    foldersOfApp: (app: string): MigrationFolders => ({ platform: platformMigrations, app: appMigrations.get(app) }),
  };
}

/** A built page: `account` or `console`. */
export function loadBuiltPage(name: 'account' | 'console'): Promise<Page> {
  return loadPage(new URL(`dist/${name}/`, freehold.root));
}

/** The pages of the apps, by name. */
export async function loadAppPages(hosted: readonly App[]): Promise<ReadonlyMap<string, Page>> {
  return new Map(await Promise.all(hosted.map(async (app) => [app.manifest.name, await loadPage(app.web)] as const)));
}
