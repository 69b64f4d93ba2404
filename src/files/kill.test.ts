import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { type FileId, systemClock, type TenantId } from '#src/kernel/index.ts';
import { startTwoTenants, type TwoTenants } from '../../test/support/two-tenants.ts';
import { createFileVault, createTenantFiles, type FilesDeps } from './index.ts';

let tenants: TwoTenants;
before(async () => {
  tenants = await startTwoTenants();
});
after(() => tenants.stop());

/** Puts one file in a process of its own, which a failpoint kills. Runs from the top of the repository. */
const script = `
  import { text } from 'node:stream/consumers';
  import { armFailpoints, systemClock } from '#src/kernel/index.ts';
  import { createTenantFiles } from '#src/files/index.ts';
  import { connectTestTenants } from './test/support/two-tenants.ts';
  const { targets, root, tenantId, point } = JSON.parse(await text(process.stdin));
  armFailpoints(point + '=kill');
  const files = await createTenantFiles({
    root, databases: connectTestTenants(targets), filesKeyOf: async () => Buffer.alloc(32, 1), clock: systemClock,
    keepInRegions: async () => {},
  });
  async function* content() { yield Buffer.from('precious'); }
  await files.put(tenantId, content(), { name: 'a', mediaType: 'text/plain', maxBytes: 100, createdBy: 'system' });
`;

async function putAndDie(root: string, tenantId: TenantId, point: string): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  child.stdin.end(JSON.stringify({ targets: tenants.targets, root, tenantId, point }));
  const [problems, [, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  assert.equal(signal, 'SIGKILL', `the child passed ${point} alive: ${problems}`);
}

for (const point of [
  'objects.write',
  'objects.staged',
  'objects.linked',
  'objects.published',
  'files.published',
  'files.in_regions',
  'files.inserted',
  'files.committed',
]) {
  test(`killed at ${point}: the file is whole or not there, and nothing else stays`, async () => {
    const { tenantId } = tenants.acme;
    const root = await mkdtemp(join(tmpdir(), 'freehold-files-'));
    try {
      await tenants.databases.platform.transact(tenantId, (db) => db.query('DELETE FROM freehold.files'));
      await putAndDie(root, tenantId, point);
      const deps: FilesDeps = {
        root,
        databases: tenants.databases,
        filesKeyOf: async () => Buffer.alloc(32, 1),
        clock: systemClock,
      };
      const [files, vault] = await Promise.all([createTenantFiles(deps), createFileVault(deps)]);
      const rows = await tenants.databases.platform.read(tenantId, (db) =>
        db.query<{ file_id: FileId }>('SELECT file_id FROM freehold.files'),
      );
      assert.equal(rows.length, point === 'files.committed' ? 1 : 0);
      for (const row of rows) {
        const opened = await files.open(tenantId, row.file_id);
        assert.equal(await text(opened!.content), 'precious');
      }
      const left = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
      for (const entry of left) await utimes(join(entry.parentPath, entry.name), 0, 0);
      await vault.sweep(tenantId);
      const kept = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
      assert.equal(kept.length, rows.length);
    } finally {
      await rm(root, { recursive: true });
    }
  });
}
