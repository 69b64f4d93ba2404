/** An import from the upload to its end, as the page does it. */
import assert from 'node:assert/strict';
import { waitFor } from '#src/kernel/index.ts';
import type { Import, ImportMapping, ImportPreview, ImportState } from '../api.ts';
import type { Desk, DeskClient, TenantName } from './desk.contract.ts';

export async function until(
  client: DeskClient,
  id: string,
  states: readonly ImportState[],
  deadlineMs = 120_000,
): Promise<Import> {
  return waitFor(
    `import to be ${states.join(' or ')}`,
    async () => {
      const now = await client.get<Import>(`/api/imports/${id}`);
      return states.includes(now.state) && now;
    },
    { deadlineMs },
  );
}

export const put = (client: DeskClient, { id, mapping }: Import, change: Partial<ImportMapping> = {}) =>
  client.call<ImportPreview>('PUT', `/api/imports/${id}/mapping`, { ...mapping, ...change });

export async function run(client: DeskClient, made: Import, change: Partial<ImportMapping> = {}): Promise<Import> {
  const preview = await put(client, made, change);
  assert.equal(preview.status, 200, JSON.stringify(preview.body));
  await client.post(`/api/imports/${made.id}/start`);
  return until(client, made.id, ['done', 'failed']);
}

export async function countItems(desk: Desk, tenant: TenantName, importId: string): Promise<number> {
  const [row] = await desk.sql<{ count: number }>(
    tenant,
    'SELECT count(*)::int AS count FROM items WHERE import_id = $1',
    [importId],
  );
  return row!.count;
}
