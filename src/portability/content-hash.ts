import { createHash } from 'node:crypto';
import type { Queryable } from '#src/postgres/index.ts';
import type { ManifestContent } from './manifest.ts';
import {
  closeRowDigests,
  fetchRowDigests,
  openRowDigests,
  selectSchemaLines,
  selectSequences,
  selectTables,
  unexportedTables,
} from './sql.ts';

/**
 * What a tenant's database holds, as a digest per table and one over all: equal exactly when the rows and sequences are equal,
 * whatever their order on the disk. Needs a transaction (one snapshot) of a role that sees every row, with the settings
 * `stableOutput`. Constant memory.
 * @param unlogged false: without unlogged tables and sequences, which cannot be read on a standby. Default true
 */
export async function contentHash(db: Queryable, { unlogged = true } = {}): Promise<ManifestContent> {
  const tables: { name: string; rows: number; sha256: string }[] = [];
  const total = createHash('sha256');
  for (const tableName of await selectTables(db, unlogged)) {
    const name = `${tableName.schema}.${tableName.table}`;
    if (unexportedTables.includes(name)) continue;
    const hash = createHash('sha256');
    let rows = 0;
    await openRowDigests(db, tableName);
    for (;;) {
      const digests = await fetchRowDigests(db);
      if (digests.length === 0) break;
      for (const digest of digests) hash.update(digest);
      rows += digests.length;
    }
    await closeRowDigests(db);
    const sha256 = hash.digest('hex');
    tables.push({ name, rows, sha256 });
    total.update(`${JSON.stringify(name)} ${rows} ${sha256}\n`);
  }
  for (const { name, lastValue } of await selectSequences(db, unlogged)) {
    total.update(`sequence ${JSON.stringify(name)} ${lastValue ?? '-'}\n`);
  }
  return { sha256: total.digest('hex'), tables };
}

/** A digest over everything that is not rows: tables, functions, triggers, privileges, settings. */
export async function schemaHash(db: Queryable): Promise<string> {
  const hash = createHash('sha256');
  for (const line of await selectSchemaLines(db)) hash.update(`${line}\n`);
  return hash.digest('hex');
}
