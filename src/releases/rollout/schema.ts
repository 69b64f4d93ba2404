import type { Queryable } from '#src/postgres/index.ts';

export interface Column {
  readonly table: string;
  readonly column: string;
  readonly type: string;
  readonly isRequired: boolean;
  /** Whoever leaves it out gets a value all the same. */
  readonly hasDefault: boolean;
}

/** Of everything in a tenant's database that is the app's. Catalogues only, so nothing of the app is run. */
export function readColumns(db: Queryable): Promise<Column[]> {
  return db.query<Column>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS "isRequired", a.atthasdef OR a.attidentity <> '' AS "hasDefault"
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
       AND n.nspname NOT IN ('freehold', 'information_schema') AND n.nspname !~ '^pg_'
     ORDER BY 1, a.attnum`,
  );
}

/** What a version that knows only the schema before would miss, or could not fill. */
export function contractionsOf(before: readonly Column[], now: readonly Column[]): string[] {
  const found: string[] = [];
  const tables = new Set(now.map(({ table }) => table));
  const known = new Set(before.map(({ table }) => table));
  const nowBy = new Map(now.map((column) => [`${column.table} ${column.column}`, column]));
  const beforeBy = new Set(before.map(({ table, column }) => `${table} ${column}`));
  for (const table of known) if (!tables.has(table)) found.push(`${table} is gone`);
  for (const { table, column, type, isRequired } of before) {
    if (!tables.has(table)) continue;
    const after = nowBy.get(`${table} ${column}`);
    if (!after) found.push(`${table}.${column} is gone`);
    else if (after.type !== type) found.push(`${table}.${column} is ${after.type}, and was ${type}`);
    else if (after.isRequired && !isRequired) found.push(`${table}.${column} must not be empty any more`);
  }
  for (const { table, column, isRequired, hasDefault } of now)
    if (known.has(table) && !beforeBy.has(`${table} ${column}`) && isRequired && !hasDefault)
      found.push(`${table}.${column} is new, and whoever does not know it cannot add a row`);
  return found;
}
