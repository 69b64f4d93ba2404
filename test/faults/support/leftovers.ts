/** Whatever nobody owns: compares the registry with the database server, the key store, the file store and the exports. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { foldersOf } from '#src/main/folders.ts';
import { readDatabaseSecret } from '#src/main/secrets.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { Connection } from '#src/postgres/types.ts';
import type { Installation } from './operator.ts';

interface TenantRow {
  readonly tenant_id: string;
  readonly name: string;
  readonly state: string;
  readonly database_name: string | null;
  /** Of a deleted one whose key is kept for its grace period. */
  readonly key_due_at: Date | null;
}

/** Control's own role, past control: for looking behind the curtain. */
export async function withRegistry<T>({ dataDir }: Installation, look: (db: Connection) => Promise<T>): Promise<T> {
  const connection = await openConnection(readDatabaseSecret(foldersOf(dataDir)), { applicationName: 'fault suite' });
  try {
    return await look(connection);
  } finally {
    await connection.close();
  }
}

/** One line per thing that should not be there, or that is missing; empty when all is in order and nothing runs. */
export function findLeftovers(at: Installation): Promise<string[]> {
  return withRegistry(at, async (db) => {
    const tenants = await db.query<TenantRow>('SELECT tenant_id, name, state, database_name, key_due_at FROM tenants');
    return [
      ...(await inRegistry(db, tenants)),
      ...(await onServer(db, tenants)),
      ...inKeyStore(at.dataDir, tenants),
      ...inFileStore(at.dataDir, tenants),
      ...(await inExports(db, at.dataDir, tenants)),
    ];
  });
}

/** Waits for what is only ending, as a session of a dump whose process was killed: nothing is left then. */
export async function assertNothingLeft(
  at: Installation,
  { except, when = 'in the end' }: { except?: RegExp; when?: string } = {},
): Promise<void> {
  const end = performance.now() + 180_000;
  for (;;) {
    const left = (await findLeftovers(at)).filter((line) => !except?.test(line));
    if (left.length === 0) return;
    if (performance.now() > end) assert.fail(`left ${when}:\n${left.join('\n')}`);
    await delay(100);
  }
}

async function inRegistry(db: Connection, tenants: readonly TenantRow[]): Promise<string[]> {
  const lines: string[] = [];
  const list = async (what: string, query: string) => {
    for (const { it } of await db.query<{ it: string }>(query)) lines.push(`${what}: ${it}`);
  };
  await list('lock', 'SELECT tenant_id AS it FROM tenant_locks');
  await list('claimed name', `SELECT name AS it FROM tenant_names WHERE status = 'claimed'`);
  await list(
    'unfinished operation',
    `SELECT operation_id || ' ' || kind || ' ' || state AS it FROM operations WHERE state IN ('running', 'failed') OR undoing`,
  );
  await list(
    'unfinished step',
    `SELECT s.operation_id || ' ' || s.name || ' ' || s.state AS it FROM operation_steps s JOIN operations o USING (operation_id)
     WHERE o.state = 'succeeded' AND s.state <> 'done' OR o.state = 'undone' AND s.state NOT IN ('undone', 'waiting')`,
  );
  await list(
    'secret of a deleted tenant',
    `SELECT tenant_id AS it FROM tenant_secrets JOIN tenants USING (tenant_id) WHERE state = 'deleted'`,
  );
  await list(
    'name of a tenant that does not answer to it',
    `SELECT n.name AS it FROM tenant_names n JOIN tenants t USING (tenant_id)
     WHERE n.status = 'current' AND (t.state = 'deleted' OR t.name <> n.name)`,
  );
  await list(
    'tenant without a name',
    `SELECT t.tenant_id AS it FROM tenants t WHERE t.state IN ('active', 'suspended')
     AND NOT EXISTS (SELECT FROM tenant_names n WHERE n.tenant_id = t.tenant_id AND n.status = 'current' AND n.name = t.name)`,
  );
  await list(
    'deletion without certificate',
    `SELECT o.operation_id AS it FROM operations o WHERE o.kind = 'delete' AND o.state = 'succeeded'
     AND NOT EXISTS (SELECT FROM deletion_certificates c WHERE c.tenant_id = o.tenant_id)`,
  );
  await list(
    'certificate that does not say what became of the key',
    `SELECT t.tenant_id AS it FROM tenants t WHERE EXISTS (SELECT FROM deletion_certificates c WHERE c.tenant_id = t.tenant_id)
     AND (t.key_due_at IS NULL) <> EXISTS (SELECT FROM deletion_certificates c WHERE c.tenant_id = t.tenant_id
                                           AND (c.document->'destroyed'->'key'->>'destroyed')::boolean)`,
  );
  await list(
    'audit event of an operation told more than once, or never',
    `SELECT o.operation_id || ' ' || o.kind AS it FROM operations o
     WHERE o.state = 'succeeded' AND o.kind IN ('create', 'import', 'delete', 'destroy')
     AND (SELECT count(*) FROM audit_events a WHERE a.subject = o.tenant_id
          AND a.name = CASE o.kind WHEN 'create' THEN 'tenant.created' WHEN 'import' THEN 'tenant.imported'
                              WHEN 'delete' THEN 'tenant.deleted' ELSE 'tenant.key_destroyed' END) <> 1`,
  );
  for (const { tenant_id, state, database_name, key_due_at } of tenants) {
    if (!['active', 'suspended', 'deleted'].includes(state))
      lines.push(`tenant between two states: ${tenant_id} ${state}`);
    if (key_due_at && state !== 'deleted')
      lines.push(`key of a tenant that is ${state} is to be destroyed: ${tenant_id}`);
    if ((database_name === null) !== (state === 'deleted'))
      lines.push(`tenant ${state} with database ${database_name}`);
  }
  return lines;
}

async function onServer(db: Connection, tenants: readonly TenantRow[]): Promise<string[]> {
  const prepared = await db.query<{ database_name: string; state: string }>(
    'SELECT database_name, state FROM prepared_databases',
  );
  const databases = await db.query<{ name: string; note: string | null; valid: boolean }>(
    `SELECT datname AS name, shobj_description(oid, 'pg_database') AS note, datconnlimit <> -2 AS valid
     FROM pg_database WHERE datname ~ '^t_'`,
  );
  const roles = await db.query<{ name: string; can_login: boolean }>(
    `SELECT rolname AS name, rolcanlogin AS can_login FROM pg_roles WHERE rolname ~ '^(t|tpl)_'`,
  );
  const owned = new Map(tenants.filter((one) => one.database_name).map((one) => [one.database_name!, one.state]));
  for (const { database_name, state } of prepared) owned.set(database_name, `prepared ${state}`);

  const lines: string[] = [];
  for (const { name, note, valid } of databases) {
    if (!owned.has(name)) lines.push(`database of nobody: ${name}`);
    else if (!valid || !note?.includes('ready')) lines.push(`half-made database of ${owned.get(name)}: ${name}`);
  }
  for (const [name, owner] of owned) {
    if (!databases.some((one) => one.name === name)) lines.push(`${owner} without its database ${name}`);
    for (const role of [name, `${name}_p`]) {
      const found = roles.find((one) => one.name === role);
      if (!found) lines.push(`${owner} without its role ${role}`);
      else if (found.can_login !== (owner === 'active'))
        lines.push(`${owner}, but login of ${role} is ${found.can_login}`);
    }
    if (/^prepared (making|dropping)/.test(owner)) lines.push(`prepared database left behind: ${name}`);
  }
  for (const { name } of roles) {
    if (name.endsWith('_m')) lines.push(`role of a migration: ${name}`);
    else if (name.startsWith('t_') && !owned.has(name.replace(/_p$/, ''))) lines.push(`role of nobody: ${name}`);
  }
  for (const { it } of await db.query<{ it: string }>(
    `SELECT application_name AS it FROM pg_stat_activity WHERE application_name ~ '^freehold (export|import|inventory)|pg_dump|pg_restore'`,
  ))
    lines.push(`connection of a job that is over: ${it}`);
  return lines;
}

function inKeyStore(dataDir: string, tenants: readonly TenantRow[]): string[] {
  const folder = join(foldersOf(dataDir).keys, 'tenants');
  const lines: string[] = [];
  const living = new Set(
    tenants.filter((one) => one.state !== 'deleted' || one.key_due_at).map((one) => one.tenant_id),
  );
  for (const tenantId of readdirSync(folder)) {
    const names = readdirSync(join(folder, tenantId));
    if (!living.delete(tenantId)) lines.push(`key of nobody: ${tenantId}`);
    else if (names.join() !== '1.key') lines.push(`key folder of ${tenantId} holds ${names.join()}`);
  }
  for (const tenantId of living) lines.push(`tenant without a key: ${tenantId}`);
  return lines;
}

function inFileStore(dataDir: string, tenants: readonly TenantRow[]): string[] {
  const folder = foldersOf(dataDir).files;
  const living = new Set(tenants.filter((one) => one.state !== 'deleted').map((one) => one.tenant_id));
  return readdirSync(folder).flatMap((name) => {
    if (name === '.staging') return readdirSync(join(folder, name)).map((file) => `staged file: ${file}`);
    return living.has(name) ? [] : [`file folder of nobody: ${name}`];
  });
}

async function inExports(db: Connection, dataDir: string, tenants: readonly TenantRow[]): Promise<string[]> {
  const folder = foldersOf(dataDir).exports;
  const living = new Set(tenants.filter((one) => one.state !== 'deleted').map((one) => one.tenant_id));
  const wanted = new Set(
    (
      await db.query<{ it: string }>(
        `SELECT tenant_id || '/' || operation_id || '.tar' AS it FROM operations WHERE kind = 'export' AND state = 'succeeded'`,
      )
    ).map(({ it }) => it),
  );
  const lines: string[] = [];
  for (const name of readdirSync(folder)) {
    if (!name.startsWith('ten_')) lines.push(`in the exports folder: ${name}`);
    else if (!living.has(name)) lines.push(`export folder of nobody: ${name}`);
    else
      for (const file of readdirSync(join(folder, name)))
        if (!wanted.delete(`${name}/${file}`)) lines.push(`export of no operation: ${name}/${file}`);
  }
  for (const file of wanted)
    if (living.has(file.split('/')[0]!) && !existsSync(join(folder, file))) lines.push(`export is gone: ${file}`);
  return lines;
}
