/**
 * databases: a tenant's database. Control's side: make, open, close, copy, migrate and drop it (createDatabaseAdmin, migrate). The
 * gateway's side: the only way to a tenant's data, a scoped callback on a leased connection
 * (createTenantDatabases). Invariants: a connection belongs to one tenant and one role for its life; open connections, those that
 * are opening or closing included, never exceed the budget; connection strings never leave this folder.
 */
export { createDatabaseAdmin, type DatabaseAdminOptions } from './admin.ts';
export { describeCondition, isPassing } from './conditions.ts';
export { databaseErrors } from './errors.ts';
export { type MigrateOptions, type MigratePatience, type MigrateResult, migrate } from './migrate.ts';
export { digestMigrations, type MigrationFile, type MigrationFolders, readMigrations } from './migration-files.ts';
export { clusterOf, mainCluster, newClusterName, newDatabaseName, rolesOf } from './names.ts';
export { createPlacedAdmin, type OtherServer, type PlacedAdmin } from './placed.ts';
export { createTenantDatabases, type TenantDatabasesOptions } from './tenant-databases.ts';
export type * from './types.ts';
