import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Freehold } from './harness.ts';

/** By the registry's own row, without a server of the tenant's own, which takes time: how a tenant comes to its edition is in test/faults/private-cloud.test.ts. */
export function setEdition({ dataDir }: Freehold, name: string, edition: 'standard' | 'private-cloud'): void {
  const sql = `UPDATE tenants SET edition = '${edition}' WHERE name = '${name}'`;
  const asPostgres = ['--reuid=freehold-postgres', '--regid=freehold-postgres', '--clear-groups'];
  const psql = ['psql', '-X', '-v', 'ON_ERROR_STOP=1', '-h', join(dataDir, 'run', 'pg-main')];
  const args = [...asPostgres, ...psql, '-U', 'postgres', '-d', 'freehold_control', '-c', sql];
  const { status, stderr } = spawnSync('setpriv', args, { encoding: 'utf8', cwd: '/' });
  assert.equal(status, 0, stderr);
}
