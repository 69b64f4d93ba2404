import { clusterOf, type MigrationFolders, type PlacedAdmin } from '#src/databases/index.ts';
import { requireRoom } from '#src/objects/index.ts';
import type { DatabasesPort } from '#src/tenants/index.ts';

/** A new database and its trace in the server's log. */
const newDatabaseBytes = 48 * 1024 * 1024;

/** What the lifecycle of tenants needs of the server that holds their databases. */
export function createDatabasesPort({
  admin,
  foldersOfApp,
  connectionLimitOf,
  roomIn,
}: {
  readonly admin: PlacedAdmin;
  readonly foldersOfApp: (app: string) => MigrationFolders;
  /** Sessions that the app of this database may have at one time, when it is a process. Default: as `OpenOptions` says. */
  readonly connectionLimitOf?: (databaseName: string) => Promise<number | undefined>;
  /**
   * Folder of a server of our own: when it finds no room for its log, it ends for all tenants, so nothing is begun that would come near to it. undefined: the
   * server is not ours.
   */
  readonly roomIn: string | undefined;
}): DatabasesPort {
  const requireDatabaseRoom = async (sizeBytes = 0): Promise<void> => {
    if (roomIn !== undefined) await requireRoom(roomIn, newDatabaseBytes + sizeBytes);
  };
  return {
    newDatabaseName: (cluster) => admin.newDatabaseName(cluster),
    ensureTemplate: (app, cluster) => admin.ensureTemplate(app, foldersOfApp(app), cluster),
    createDatabase: async (name, options) => {
      await requireDatabaseRoom();
      await admin.createDatabase(name, options);
    },
    migrateDatabase: async (name, app) => void (await admin.migrateDatabase(name, foldersOfApp(app))),
    openDatabase: async (name, passwords) =>
      admin.openDatabase(name, passwords, { connectionLimit: await connectionLimitOf?.(name) }),
    closeDatabase: (name) => admin.closeDatabase(name),
    cloneDatabase: async (from, to) => {
      await requireDatabaseRoom(await admin.databaseSize(from));
      await admin.cloneDatabase(from, to);
    },
    dropDatabase: (name) => admin.dropDatabase(name),
    databaseSize: (name) => admin.databaseSize(name),
    clusterOf,
  };
}
