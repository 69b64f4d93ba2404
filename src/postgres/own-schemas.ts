/**
 * SQL: schema `n` (pg_namespace) is none of PostgreSQL's own. In a tenant's database these are `freehold` and the app's, which are as many as it likes when it
 * runs as a process; nobody can make one whose name begins with `pg_` (PostgreSQL manual, CREATE SCHEMA).
 */
export const isOwnSchema = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;
