import { createHash, hash as hashOnce } from 'node:crypto';
import type { DatabaseKind } from '#src/databases/types.ts';
import type { Connection, Queryable } from '#src/postgres/index.ts';
import { portabilityErrors } from './errors.ts';
import type { ManifestContent } from './manifest.ts';
import { createRecordText } from './record-text.ts';
import { forEachSorted } from './sorted-digests.ts';
import {
  copyRows,
  readLargeObject,
  selectLargeObjects,
  selectSchemaLines,
  selectSequences,
  selectTables,
  type Table,
  unexportedTables,
} from './sql.ts';

/** Of a large object at a time. */
const partBytes = 1024 * 1024;

/**
 * What a tenant's database holds, as a digest per table and one over all: equal exactly when the rows, sequences and large objects are equal,
 * whatever their order on the disk. Needs a transaction (one snapshot) of a role that sees every row, with the settings
 * `stableOutput`. Constant memory. Whatever an app made in its database, nothing of it runs with the rights of who reads (hostile-objects.test.ts).
 * @param isWhole with the tables that are in no archive, too. Default false
 * @param unlogged false: without unlogged tables and sequences, which cannot be read on a standby. Default true
 * @param hidden `passed over`: rows that the app keeps from being read are not counted, nor are large objects. Default: FH_ROWS_HIDDEN
 */
export async function contentHash(
  db: Connection,
  {
    unlogged = true,
    hidden = 'refused',
    isWhole = false,
  }: { unlogged?: boolean; hidden?: 'refused' | 'passed over'; isWhole?: boolean } = {},
): Promise<ManifestContent> {
  const tables: { name: string; rows: number; sha256: string }[] = [];
  const total = createHash('sha256');
  for (const tableName of await selectTables(db, unlogged)) {
    const name = `${tableName.schema}.${tableName.table}`;
    if (!isWhole && unexportedTables.includes(name)) continue;
    if (!tableName.isReadable) {
      if (hidden === 'refused') throw portabilityErrors.FH_ROWS_HIDDEN({ detail: name });
      total.update(`hidden ${JSON.stringify(name)}\n`);
      continue;
    }
    const { rows, sha256 } = await hashTable(db, tableName);
    tables.push({ name, rows, sha256 });
    total.update(`${JSON.stringify(name)} ${rows} ${sha256}\n`);
  }
  for (const { name, lastValue } of await selectSequences(db, unlogged)) {
    total.update(`sequence ${JSON.stringify(name)} ${lastValue ?? '-'}\n`);
  }
  for (const oid of hidden === 'refused' ? await selectLargeObjects(db) : []) {
    const { sizeBytes, sha256 } = await hashLargeObject(db, oid);
    total.update(`large object ${oid} ${sizeBytes} ${sha256}\n`);
  }
  return { sha256: total.digest('hex'), tables };
}

/** One digest per row, in the order of the digests, so that the order in which rows lie on the disk does not matter. */
async function hashTable(db: Connection, table: Table): Promise<{ rows: number; sha256: string }> {
  const hash = createHash('sha256');
  const recordText = createRecordText();
  let rows = 0;
  await forEachSorted(
    (take) => copyRows(db, table, (row) => take(hashOnce('sha256', recordText(row, table.columns), 'buffer'))),
    (digest) => {
      hash.update(digest);
      rows++;
    },
  );
  return { rows, sha256: hash.digest('hex') };
}

async function hashLargeObject(db: Queryable, oid: number): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256');
  for (let sizeBytes = 0; ; ) {
    const part = await readLargeObject(db, oid, sizeBytes, partBytes);
    hash.update(part);
    sizeBytes += part.byteLength;
    if (part.byteLength < partBytes) return { sizeBytes, sha256: hash.digest('hex') };
  }
}

/** A digest over everything of ours that is not rows: tables, functions, triggers, privileges, settings. */
export async function schemaHash(db: Queryable, kind: DatabaseKind): Promise<string> {
  const hash = createHash('sha256');
  for (const line of await selectSchemaLines(db, kind)) hash.update(`${line}\n`);
  return hash.digest('hex');
}
