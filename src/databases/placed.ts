import type { MigrationFolders } from './migration-files.ts';
import { clusterOf, mainCluster, newDatabaseName } from './names.ts';
import type { DatabaseAdmin, Template } from './types.ts';

/** The server of one name besides the main one. */
export interface OtherServer {
  readonly admin: DatabaseAdmin;
  /**
   * Brings to its disk what was committed there. The books lie on another server: what they say was done must not be lost with what it was done to.
   */
  flush(): Promise<void>;
}

export interface PlacedAdmin extends DatabaseAdmin {
  ensureTemplate(key: string, folders: MigrationFolders, cluster?: string): Promise<Template>;
  /** How tenants' connections reach the server of this database. */
  serverOf(databaseName: string): Promise<DatabaseAdmin['server']>;
}

export interface PlacedAdminOptions {
  readonly main: DatabaseAdmin;
  /** Rejects when there is no such server, or it does not answer. */
  readonly find: (cluster: string) => Promise<OtherServer>;
  /** Those that answer at the moment. */
  readonly list: () => readonly OtherServer[];
}

/** All servers as one: every database is worked on where its name says that it is. Orphans are looked for on the main one. */
export function createPlacedAdmin({ main, find, list }: PlacedAdminOptions): PlacedAdmin {
  async function adminOf(databaseName: string): Promise<DatabaseAdmin> {
    const cluster = clusterOf(databaseName);
    return cluster === mainCluster ? main : (await find(cluster)).admin;
  }

  async function work<T>(databaseName: string, act: (admin: DatabaseAdmin) => Promise<T>): Promise<T> {
    const cluster = clusterOf(databaseName);
    if (cluster === mainCluster) return act(main);
    const other = await find(cluster);
    const result = await act(other.admin);
    await other.flush();
    return result;
  }

  return {
    newDatabaseName,
    async ensureTemplate(key, folders, cluster = mainCluster) {
      return (cluster === mainCluster ? main : (await find(cluster)).admin).ensureTemplate(key, folders);
    },
    createDatabase: (name, options) => work(name, (admin) => admin.createDatabase(name, options)),
    migrateDatabase: (name, folders, patience) => work(name, (admin) => admin.migrateDatabase(name, folders, patience)),
    readCatalogues: async (name, read) => (await adminOf(name)).readCatalogues(name, read),
    openDatabase: (name, passwords, options) => work(name, (admin) => admin.openDatabase(name, passwords, options)),
    closeDatabase: (name) => work(name, (admin) => admin.closeDatabase(name)),
    openReader: async (name) => (await adminOf(name)).openReader(name),
    // PostgreSQL copies within one server only.
    cloneDatabase: (from, to) => work(to, (admin) => admin.cloneDatabase(from, to)),
    dropDatabase: (name) => work(name, (admin) => admin.dropDatabase(name)),
    databaseSize: async (name) => (await adminOf(name)).databaseSize(name),
    setCommitWaits: (name, waits) => work(name, (admin) => admin.setCommitWaits(name, waits)),
    endSessions: async (name, openedBefore) => (await adminOf(name)).endSessions(name, openedBefore),
    async listDatabases() {
      const lists = [main, ...list().map(({ admin }) => admin)].map((admin) => admin.listDatabases());
      return (await Promise.all(lists)).flat();
    },
    findOrphans: (known) => main.findOrphans(known),
    server: main.server,
    serverOf: async (name) => (await adminOf(name)).server,
  };
}
