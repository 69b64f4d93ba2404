import { type TenantId, waitFor } from '#src/kernel/index.ts';
import { quoteIdentifier } from '#src/postgres/index.ts';
import type { Internals } from './internals.ts';

/** What signing in and being refused writes: told apart from content. */
const bookkeeping = [
  'freehold.sessions',
  'freehold.session_notices',
  'freehold.known_devices',
  'freehold.password_resets',
  'freehold.sign_in_failures',
  'freehold.audit_events',
];

/** A digest per table of everything that a tenant's people made. */
export async function digestOf(internals: Internals, tenantId: TenantId): Promise<Map<string, string>> {
  const connection = await internals.connect(tenantId, 'platform');
  try {
    const tables = await connection.query<{ schema: string; name: string }>(
      `SELECT schemaname AS schema, tablename AS name FROM pg_tables WHERE schemaname IN ('app', 'freehold')
       AND schemaname || '.' || tablename <> ALL ($1) ORDER BY 1, 2`,
      [bookkeeping],
    );
    const parts = tables.map(({ schema, name }) => {
      const table = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
      return `SELECT '${schema}.${name}' AS name, (SELECT md5(coalesce(string_agg(r::text, E'\\n' ORDER BY r::text), '')) FROM ${table} r) AS digest`;
    });
    const rows = await connection.query<{ name: string; digest: string }>(parts.join(' UNION ALL '));
    return new Map(rows.map(({ name, digest }) => [name, digest]));
  } finally {
    await connection.close();
  }
}

/** Waits until the app has removed the spooled answers of requests that are over: it does so after the last byte was sent. */
export async function waitUntilQuiet(internals: Internals, tenantId: TenantId): Promise<void> {
  const connection = await internals.connect(tenantId, 'platform');
  try {
    await waitFor(
      'spooled answers to be removed',
      async () => (await connection.query('SELECT 1 FROM app.unused_files')).length === 0,
      { deadlineMs: 180_000 },
    );
  } finally {
    await connection.close();
  }
}

/** Names of the tables that differ. */
export function changedTables(before: Map<string, string>, after: Map<string, string>): string[] {
  return [...before].filter(([name, digest]) => after.get(name) !== digest).map(([name]) => name);
}
